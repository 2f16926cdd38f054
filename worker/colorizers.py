"""The models that a worker process holds."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from core.colorizer import Colorizer

CAPACITY = 2
"""Versions held at once: the one that new jobs get, and one that older jobs are pinned to."""


class Colorizers:
    """Loaded model versions; the one that was not asked for the longest makes room. May be used by several threads.

    While one version is being loaded, the others are given without waiting; for that moment there is one more of them.
    One that made room works on for whoever still has it, and is freed after.

    Args:
        load: gives a version's colorizer, or raises CheckpointError.
        capacity: how many are held at once.
    """

    def __init__(self, load: Callable[[str], Colorizer], capacity: int = CAPACITY) -> None:
        self._load = load
        self._capacity = capacity
        self._held: OrderedDict[str, Future[Colorizer]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, version: str) -> Colorizer:
        """The colorizer of a version, loaded now if it is not held; who asks meanwhile waits for the same one.

        Raises:
            CheckpointError: model_version_missing, or as choose_runtime says.
        """
        place, is_new = self._place(version)
        if is_new:
            self._fill(version, place)
        return place.result()

    @property
    def versions(self) -> tuple[str, ...]:
        """Which are held or being loaded; what was asked for last is the last."""
        with self._lock:
            return tuple(self._held)

    def close(self) -> None:
        """Free all that are held; nobody may be at work with one any more."""
        with self._lock:
            places = list(self._held.values())
            self._held.clear()
        for place in places:
            if place.done():
                place.result().runtime.close()

    def _place(self, version: str) -> tuple["Future[Colorizer]", bool]:
        """Where a version is or will be, and whether the caller must load it."""
        with self._lock:
            if version in self._held:
                self._held.move_to_end(version)
                return self._held[version], False
            place: Future[Colorizer] = Future()
            self._held[version] = place
            return place, True

    def _fill(self, version: str, place: "Future[Colorizer]") -> None:
        try:
            place.set_result(self._load(version))
        except BaseException as error:
            # The next who asks tries again.
            with self._lock:
                if self._held.get(version) is place:
                    del self._held[version]
            place.set_exception(error)
        else:
            self._make_room(version)

    def _make_room(self, newest: str) -> None:
        """Let go of what is too much. This waits until the new one is there: one that fails costs nobody a model."""
        with self._lock:
            if newest in self._held:
                self._held.move_to_end(newest)
            loaded = [version for version, place in self._held.items() if place.done()]
            for version in loaded[: -self._capacity]:
                del self._held[version]
