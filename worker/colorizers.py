"""The models that a worker process holds."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from core.colorizer import Colorizer

CAPACITY = 2
"""Versions held at once: the one that new jobs get, and one that older jobs are pinned to."""


class Colorizers:
    """Loaded model versions; the one that was not asked for the longest makes room. May be used by several threads.

    One that made room works on for whoever still has it, and is freed after.

    Args:
        load: gives a version's colorizer, or raises CheckpointError.
        capacity: how many are held at once.
    """

    def __init__(self, load: Callable[[str], Colorizer], capacity: int = CAPACITY) -> None:
        self._load = load
        self._capacity = capacity
        self._held: OrderedDict[str, Colorizer] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, version: str) -> Colorizer:
        """The colorizer of a version, loaded now if it is not held.

        Raises:
            CheckpointError: model_version_missing, or as choose_runtime says.
        """
        with self._lock:
            if version not in self._held:
                while len(self._held) >= self._capacity:
                    self._held.popitem(last=False)
                self._held[version] = self._load(version)
            self._held.move_to_end(version)
            return self._held[version]

    def close(self) -> None:
        """Free all that are held; nobody may be at work with one any more."""
        with self._lock:
            while self._held:
                self._held.popitem()[1].runtime.close()
