"""How a file's outcome is told."""

import re

CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def named(path: str, message: str) -> str:
    """The message with the file's path before it, unless it is in it.

    Control characters are replaced: libraries quote damaged bytes in what they raise, and PostgreSQL takes no NUL.
    """
    return CONTROL.sub("\ufffd", message if path in message else f"{path}: {message}")
