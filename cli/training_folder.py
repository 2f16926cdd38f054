"""The folder that one `gray2hue train` at a time works in."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from core.errors import StateError
from core.machine import locked

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
    with ExitStack() as held:
        try:
            held.enter_context(locked(out / LOCK_NAME, waits=False))
        except BlockingIOError as error:
            message = f"Another process trains in {out}; wait for its end, or take another folder."
            raise StateError("run_in_use", message) from error
        yield
