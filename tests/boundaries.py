"""A test's hand on the boundaries of processes that run beside it."""

import time
from pathlib import Path

from core.boundaries import Boundary

POLL_S = 0.01


class Armed:
    """Stops processes at boundaries, and reads which ones were reached.

    Args:
        folder: given to the processes as GRAY2HUE_FAULTS_DIR, before they start.
        logged: the boundaries that every process notes in the ledger; settled when it starts.
    """

    def __init__(self, folder: Path, *logged: Boundary) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if logged:
            (folder / "logged").write_text("".join(f"{boundary}\n" for boundary in logged))

    def arm(self, boundary: Boundary) -> None:
        """Let the next process that reaches the boundary wait there."""
        for suffix in ("reached", "go"):
            (self.folder / f"{boundary}.{suffix}").unlink(missing_ok=True)
        (self.folder / f"{boundary}.armed").touch()

    def disarm(self, boundary: Boundary) -> None:
        """Let the next process pass after all."""
        (self.folder / f"{boundary}.armed").unlink(missing_ok=True)

    def reached(self, boundary: Boundary) -> int | None:
        """The process id of who waits at the boundary, or waited there last; None as long as nobody came."""
        path = self.folder / f"{boundary}.reached"
        content = path.read_text() if path.exists() else ""
        # Between the renaming and the writing the file is empty.
        return int(content) if content.endswith("\n") else None

    def await_reached(self, boundary: Boundary, timeout_s: float = 60.0) -> int:
        """The process id of who waits at the boundary, once somebody does."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            pid = self.reached(boundary)
            if pid is not None:
                return pid
            time.sleep(POLL_S)
        raise AssertionError(f"nobody reached {boundary} within {timeout_s:.0f} s")

    def let_go(self, boundary: Boundary) -> None:
        """Let the one that waits go on."""
        (self.folder / f"{boundary}.go").touch()

    def ledger(self) -> list[str]:
        """What was noted so far, line by line: boundary, about, process id, monotonic nanoseconds."""
        path = self.folder / "ledger"
        return path.read_text().splitlines() if path.exists() else []
