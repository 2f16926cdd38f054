"""What the machine offers: cores, locks between processes, files that survive a power cut."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fsync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, *, waits: bool = True) -> Iterator[None]:
    """Keep other processes, and other threads, out of what is done under this lock file; a dead one's is free again.

    Raises:
        BlockingIOError: somebody else has it, and it is not to be waited for.
    """
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def process_space() -> str:
    """Names what a process id is unique in: the host, and on Linux the namespace (container) of its processes."""
    host = socket.gethostname()
    namespace = Path("/proc/self/ns/pid")
    return f"{host}.{namespace.stat().st_ino}" if namespace.exists() else host


def is_alive(pid: int) -> bool:
    """Whether there is a process of this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
