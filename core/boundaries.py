"""The steps between which a process may die, made known, so that a test can stop one of them exactly there.

In production nobody watches, and reaching a boundary does nothing. A test arms a boundary by a file in a folder that it
shares with the processes; which of them comes first waits there, to be killed or to be let go.
"""

import os
import time
from enum import StrEnum
from pathlib import Path
from typing import Protocol

POLL_S = 0.01


class Boundary(StrEnum):
    """The steps, in the order in which one photograph passes them."""

    BYTES_FSYNCED = "bytes_fsynced"
    """An upload's bytes are on the disk, but under no key yet."""
    JOB_COMMITTED = "job_committed"
    HINT_ENQUEUED = "hint_enqueued"
    PHOTO_ROWS_COMMITTED = "photo_rows_committed"
    MODEL_LOADING = "model_loading"
    """A pool child is about to load the model, before its first task."""
    CLAIMED = "claimed"
    DECODED = "decoded"
    NETWORK_DONE = "network_done"
    RESULT_WRITTEN = "result_written"
    """A result's bytes are on the disk, but under no key yet."""
    RENAMED = "renamed"
    OUTCOME_COMMITTED = "outcome_committed"
    MESSAGE_ACKNOWLEDGED = "message_acknowledged"


class Boundaries(Protocol):
    """Who is told of every boundary that this process reaches."""

    def reach(self, boundary: Boundary, about: str = "") -> None:
        """Note that the boundary was reached; may wait, or never return.

        Args:
            boundary: which one.
            about: the id of the job or the photo that reached it.
        """


class Unwatched:
    """Nobody watches."""

    def reach(self, boundary: Boundary, about: str = "") -> None:
        """Do nothing."""


OPEN: Boundaries = Unwatched()


class WatchedBoundaries:
    """Boundaries that are watched by files in a folder; may be reached by many processes and threads at once.

    Where <boundary>.armed lies there, one process takes it, by renaming it to <boundary>.reached, writes its process id
    into it, and waits until <boundary>.go is there. Boundaries named in `logged`, one on a line, are noted in `ledger`
    each time: boundary, what it was about, process id, and monotonic nanoseconds.

    Args:
        folder: that the test and the processes share.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        logged = folder / "logged"
        self._logged = frozenset(logged.read_text().split()) if logged.exists() else frozenset()

    def reach(self, boundary: Boundary, about: str = "") -> None:
        """See Boundaries.reach."""
        if boundary in self._logged:
            self._note(boundary, about)
        reached = self._folder / f"{boundary}.reached"
        try:
            (self._folder / f"{boundary}.armed").rename(reached)
        except FileNotFoundError:
            return
        reached.write_text(f"{os.getpid()}\n")
        self._await_leave(self._folder / f"{boundary}.go")

    def _note(self, boundary: Boundary, about: str) -> None:
        line = f"{boundary} {about or '-'} {os.getpid()} {time.monotonic_ns()}\n"
        # Lines of several processes do not mix only if each is appended by one call.
        descriptor = os.open(self._folder / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def _await_leave(self, go: Path) -> None:
        while not go.exists():
            time.sleep(POLL_S)
        go.unlink()


def boundaries(folder: Path | None) -> Boundaries:
    """Boundaries that are watched in a folder, or by nobody where there is none."""
    return OPEN if folder is None else WatchedBoundaries(folder)
