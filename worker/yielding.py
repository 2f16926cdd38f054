"""How a trainer steps back behind everything else on its machine, has children, and learns that it has to stop."""

import mmap
import multiprocessing
import os
from contextlib import suppress
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")


class StopFlag:
    """A flag that a process raises and the children it forks later see. It takes no lock, so a signal may raise it."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def raise_(self) -> None:
        """Raise it, for good."""
        self._byte[0] = 1

    @property
    def is_raised(self) -> bool:
        """Whether it was raised."""
        return self._byte[0] == 1


def lower_priority(niceness: int) -> None:
    """Give this process, and what it starts, the processor only when nobody else wants it.

    Where Linux groups processes by their sessions (desktops mostly do), niceness counts within a group only, and the
    group needs its own.

    Args:
        niceness: 0 to 19; 0 changes nothing.
    """
    os.nice(niceness)
    if niceness:
        with suppress(OSError):
            AUTOGROUP.write_text(f"{niceness}\n")


def allow_children() -> None:
    """Let this process have children, such as those that prepare batches for a GPU; a pool's child may not by itself.

    They end by themselves when it is gone.
    """
    multiprocessing.current_process().daemon = False
