"""Photographs that kill: whatever process has decoded one of them is killed, each time, as by a fault in a decoder."""

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from core.boundaries import Boundary

POLL_S = 0.005


class Poison:
    """A thread that follows the ledger of a stack's boundaries.

    Args:
        ledger: where CLAIMED and DECODED are noted.
        choose: gives those of some photos' ids that are to kill; asked once for each photo, when it is claimed.
    """

    def __init__(self, ledger: Path, choose: Callable[[set[str]], set[str]]) -> None:
        self.deaths: Counter[str] = Counter()
        self.times: list[float] = []
        self._ledger = ledger
        self._choose = choose
        self._known: set[str] = set()
        self._killers: set[str] = set()
        self._read_bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poison", daemon=True)

    def __enter__(self) -> "Poison":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(POLL_S):
            entries = self._new_entries()
            claimed = {photo_id for boundary, photo_id, _pid in entries if boundary == Boundary.CLAIMED} - self._known
            if claimed:
                self._known |= claimed
                self._killers |= self._choose(claimed)
            for boundary, photo_id, pid in entries:
                if boundary == Boundary.DECODED and photo_id in self._killers:
                    self._kill(photo_id, pid)

    def _new_entries(self) -> list[tuple[str, str, int]]:
        if not self._ledger.exists():
            return []
        with self._ledger.open("rb") as file:
            file.seek(self._read_bytes)
            whole, newline, _rest = file.read().rpartition(b"\n")
        self._read_bytes += len(whole) + len(newline)
        lines = (line.split() for line in whole.decode().splitlines())
        return [(boundary, about, int(pid)) for boundary, about, pid, _at in lines]

    def _kill(self, photo_id: str, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.deaths[photo_id] += 1
            self.times.append(time.time())
