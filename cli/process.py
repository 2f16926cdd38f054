"""One supervised process of a stack."""

import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli import groups

MAX_LOG_BYTES = 10 * 2**20


@dataclass(frozen=True)
class Part:
    """What a stack consists of: a name for people and log files, and the command that runs it."""

    name: str
    command: tuple[str, ...]


class Process:
    """A part that can be started, looked at and ended, together with whatever it starts itself.

    It leads a session of its own: the terminal's Ctrl-C does not reach it, and its group can be ended as a whole.

    Args:
        part: what to run.
        environment: its whole environment.
        log_path: where its output is appended.
        folder: its working folder.
    """

    def __init__(self, part: Part, environment: Mapping[str, str], log_path: Path, folder: Path) -> None:
        self.part = part
        self.log_path = log_path
        self.started_at = 0.0
        self._environment = environment
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._group: int | None = None

    @property
    def name(self) -> str:
        """The part's name."""
        return self.part.name

    @property
    def group(self) -> int | None:
        """Its process group, which has its leader's process id; None before the start and once the group was ended."""
        return self._group

    @property
    def running(self) -> bool:
        """Whether the part's own process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs and before the first start."""
        return None if self._process is None else self._process.poll()

    def start(self) -> int:
        """Run the part and give its process group."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the commands are our own
                self.part.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )
        self.started_at = time.monotonic()
        self._group = self._process.pid
        return self._group

    def terminate(self) -> None:
        """Ask the part to end; its own children are its business until `kill_group`."""
        if self.running and self._group is not None:
            groups.signal_leader(self._group, signal.SIGTERM)

    def kill_group(self) -> None:
        """End the part and every process that it started, at once. A second call finds nothing to end."""
        if self._group is not None and self._process is not None:
            groups.signal_group(self._group, signal.SIGKILL)
            self._process.wait()
            self._group = None

    def last_log_lines(self, count: int = 15) -> str:
        """The end of the part's log."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, self.log_path.stat().st_size - 8192))
                return "\n".join(log.read().decode(errors="replace").splitlines()[-count:])
        except FileNotFoundError:
            return ""


def cap_log(path: Path, max_bytes: int = MAX_LOG_BYTES) -> None:
    """Put a log that has grown past `max_bytes` aside as <name>.1; the one put aside before is let go."""
    if path.exists() and path.stat().st_size > max_bytes:
        path.replace(path.with_name(path.name + ".1"))
