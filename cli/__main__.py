"""`python -m cli`: the same as the command `gray2hue`."""

from cli.main import main

main(prog_name="gray2hue")
