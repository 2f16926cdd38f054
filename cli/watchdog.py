"""Ends a stack's processes when their supervisor is gone without having done so, e.g. by kill -9.

A small process beside the stack, in a session of its own. It is told on its standard input which process groups there
are: "+123" and "-123" lines. The end of that input means that the supervisor is gone. Linux's PR_SET_PDEATHSIG would
not do: it is not inherited, so a worker's own children would stay.
"""

import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cli.groups import end_groups

GRACE_S = 5.0


class Watchdog:
    """The supervisor's end of the watchdog: tells it of groups that begin and end.

    Args:
        source_root: the folder that our packages are in.
    """

    def __init__(self, source_root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cli.watchdog"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=source_root,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def guard(self, group: int) -> None:
        """End this group if the supervisor dies."""
        self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        """The group is gone, and its number may be given to others."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Let the watchdog end what it still guards, and itself."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()


def guarded_groups(lines: Iterable[str]) -> list[int]:
    """The groups left when the lines end, in the order they came."""
    groups: dict[int, None] = {}
    for line in lines:
        if line.startswith("+"):
            groups[int(line[1:])] = None
        else:
            groups.pop(int(line[1:]), None)
    return list(groups)


def main() -> None:
    """Wait for the supervisor's end, then end what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_groups(guarded_groups(sys.stdin), GRACE_S)


if __name__ == "__main__":
    main()
