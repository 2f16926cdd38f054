"""Waiting for what a supervisor waits for: a child's death, a wish to stop, or time to pass."""

import os
import select
import signal
import time
from types import FrameType, TracebackType
from typing import Self


class Signals:
    """Counts the wishes to stop (Ctrl-C, SIGTERM, a closed terminal) and wakes a waiting supervisor.

    A context manager for the main thread. The handlers only count; nothing is interrupted half way.

    Args:
        also_stop_at_end_of: a file descriptor whose end is a wish to stop too, e.g. standard input.
    """

    def __init__(self, also_stop_at_end_of: int | None = None) -> None:
        self.stops = 0
        self._input = also_stop_at_end_of
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        self._previous: list[tuple[signal.Signals, object]] = []
        self._previous_fd = -1

    def __enter__(self) -> Self:
        self._previous_fd = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._handle(signal.SIGCHLD, _ignore)
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handle(number, self._count)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            self._handle(signal.SIGHUP, self._count)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._previous:
            signal.signal(number, handler)  # type: ignore[arg-type]  # getsignal's own answer
        signal.set_wakeup_fd(self._previous_fd)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, timeout_s: float) -> None:
        """Return after `timeout_s` seconds, or sooner when a signal came or the watched input ended."""
        watched = [self._reader] if self._input is None else [self._reader, self._input]
        ready, _, _ = select.select(watched, [], [], max(0.0, timeout_s))
        if self._reader in ready:
            os.read(self._reader, 4096)
        if self._input in ready and self._input is not None and not os.read(self._input, 4096):
            self._input = None
            self.stops += 1

    def wait_for_stop(self, timeout_s: float) -> bool:
        """Wait up to `timeout_s` seconds; True when somebody wishes to stop."""
        deadline = time.monotonic() + timeout_s
        while not self.stops and (left_s := deadline - time.monotonic()) > 0:
            self.wait(left_s)
        return self.stops > 0

    def _handle(self, number: signal.Signals, handler: object) -> None:
        self._previous.append((number, signal.signal(number, handler)))  # type: ignore[arg-type]  # one of our handlers

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.stops += 1


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """SIGCHLD needs a handler of any kind to wake the waiting supervisor."""
