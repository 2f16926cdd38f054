"""`python -m cli`: the `gray2hue` command without its installed script."""

from cli.main import main

main(prog_name="gray2hue")
