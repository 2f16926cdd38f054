"""The `gray2hue` command: runs the embedded stack, and is a client of any stack. Nothing imports it."""
