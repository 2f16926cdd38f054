"""How many pictures are in flight on a device whose memory may run out."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

T = TypeVar("T")

CALM_RUNS = 100
"""So many pictures in a row must come out before one more is let in flight again."""


class Slots:
    """Lets a number of calls run at once; when memory runs out, halves that number and runs the failed calls again.

    Args:
        count: of calls that run at once while there is memory enough; at least 1.
        exhausted: what is raised when memory runs out.
        free: gives back memory that nobody uses any more; called after a failure.
    """

    def __init__(self, count: int, exhausted: type[Exception], free: Callable[[], None]) -> None:
        self._count = count
        self._exhausted = exhausted
        self._free = free
        self._limit = count
        self._in_flight = 0
        self._calm = 0
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """How many calls may run at once now."""
        return self._limit

    def run(self, work: Callable[[], T]) -> T:
        """Call `work` in a slot, again after each failure for want of memory.

        Raises:
            MemoryError: it failed although it was alone.
        """
        while True:
            with self._slot() as limit, suppress(self._exhausted):
                result = work()
                self._succeeded()
                return result
            # Only now, when the failed call's traceback is gone, does nobody hold its tensors any more.
            self._failed(limit)
            if limit == 1:
                raise MemoryError("one picture alone does not fit into the device's memory")

    @contextmanager
    def _slot(self) -> Iterator[int]:
        """A slot, and the limit under which it was given: under a limit of 1 its holder is alone until it leaves."""
        with self._changed:
            self._changed.wait_for(lambda: self._in_flight < self._limit)
            self._in_flight += 1
            limit = self._limit
        try:
            yield limit
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def _failed(self, limit: int) -> None:
        """Halve the limit under which a call failed, once for all calls that failed under it."""
        with self._changed:
            self._limit = min(self._limit, max(1, limit // 2))
            self._calm = 0
        self._free()

    def _succeeded(self) -> None:
        with self._changed:
            self._calm += 1
            if self._calm >= CALM_RUNS and self._limit < self._count:
                self._limit += 1
                self._calm = 0
                self._changed.notify_all()
