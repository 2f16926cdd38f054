"""The folder that one `gray2hue train` at a time works in."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import StateError

LOCK_NAME = "lock"


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Keep other processes out of a run's folder, without waiting; a dead one's is free again.

    Args:
        out: the folder; made where there is none.

    Raises:
        StateError: run_in_use.
        OSError: the folder cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK_NAME).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"Another process trains in {out}; wait for its end, or take another folder."
            raise StateError("run_in_use", message) from error
        yield
