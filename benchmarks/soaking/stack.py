"""`gray2hue up` in a folder of its own, and its processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from cli.redis_server import broker_url, socket_path
from core.settings import SOURCE_ROOT

READY_TIMEOUT_S = 300.0
POLL_S = 0.05

T = TypeVar("T")


def wait_for(find: Callable[[], T | None], timeout_s: float, what: str) -> T:
    """Poll until there is something, and give that; TimeoutError names `what` did not come."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := find():
            return found
        time.sleep(POLL_S)
    raise TimeoutError(f"{what} did not come within {timeout_s:.0f} s")


class SoakedStack:
    """A stack to be hurt.

    Args:
        data_dir: its folder.
        environment: settings beside those of this process.
    """

    def __init__(self, data_dir: Path, environment: Mapping[str, str]) -> None:
        self.data_dir = data_dir
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self.address = f"http://127.0.0.1:{port}"
        own = {"GRAY2HUE_DATA_DIR": str(data_dir), "GRAY2HUE_PORT": str(port)}
        self._environment = {**os.environ, **own, **environment}
        self._output = data_dir / "up.txt"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def broker_url(self) -> str:
        """Of its own Redis."""
        return broker_url(socket_path(self.data_dir / "run"))

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with self._output.open("w") as output:
            command = [sys.executable, "-m", "cli", "up"]
            self._process = process = subprocess.Popen(
                command, cwd=SOURCE_ROOT, env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )

        def ready() -> bool:
            if process.poll() is not None:
                raise ChildProcessError(self._output.read_text())
            return "Ctrl-C stops everything" in self._output.read_text()

        wait_for(ready, READY_TIMEOUT_S, "the stack's readiness")

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()

    def leader(self, name: str) -> int | None:
        """The process id of a part, None while it does not run."""
        noted = json.loads((self.data_dir / "run" / "pids.json").read_text())
        return next((entry["pid"] for entry in noted if entry["name"] == name and runs(entry["pid"])), None)


def runs(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def children(pid: int) -> list[int]:
    """The running children of a process; none where it is gone."""
    try:
        found = [(task / "children").read_text().split() for task in Path(f"/proc/{pid}/task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for some in found for child in some if runs(int(child))]
