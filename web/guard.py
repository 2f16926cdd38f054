"""The bound on guessing passwords."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.errors import AuthenticationError

MAX_TRACKED = 10_000
PARALLEL_HASHES = 2
HASH_WAIT_S = 10.0


class SignInGuard:
    """Counts failed sign-ins per name and address, and per address alone, in this process's memory.

    It is a brake, not a wall: it forgets at a restart, every web process counts by itself, and behind a proxy all
    people share one address unless `trusted_proxies` is set. What makes guessing slow in the first place is argon2,
    whose memory (64 MiB each) is bounded by letting two sign-ins hash at a time.

    Args:
        per_name: failures of one name from one address within the window before it has to wait.
        per_address: failures of all names from one address.
        window_s: seconds until a failure is forgotten.
        now: a monotonic clock in seconds.
    """

    def __init__(
        self,
        per_name: int = 10,
        per_address: int = 50,
        window_s: float = 600.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = (per_name, per_address)
        self._window_s = window_s
        self._now = now
        self._failures: dict[tuple[str, str], deque[float]] = {}
        self._lock = threading.Lock()
        self._hashing = threading.BoundedSemaphore(PARALLEL_HASHES)

    @contextmanager
    def attempt(self, name: str, address: str) -> Iterator[None]:
        """Run one attempt to sign in; an AuthenticationError that leaves the block counts as a failure.

        Raises:
            AuthenticationError: `too_many_attempts`, when there were too many failures lately.
        """
        keys = ((name.strip().casefold()[:100], address), ("", address))
        with self._lock:
            self._forget_old()
            for key, limit in zip(keys, self._limits, strict=True):
                if self._count(key) >= limit:
                    raise AuthenticationError("too_many_attempts", "Too many failed attempts. Wait a few minutes.")
        if not self._hashing.acquire(timeout=HASH_WAIT_S):
            raise AuthenticationError("too_many_attempts", "Too many people are signing in. Try again.")
        try:
            yield
        except AuthenticationError:
            with self._lock:
                for key in keys:
                    self._add(key)
            raise
        finally:
            self._hashing.release()
        with self._lock:
            self._failures.pop(keys[0], None)

    def _count(self, key: tuple[str, str]) -> int:
        horizon = self._now() - self._window_s
        return sum(moment > horizon for moment in self._failures.get(key, ()))

    def _add(self, key: tuple[str, str]) -> None:
        times = self._failures.pop(key, None) or deque(maxlen=max(self._limits))
        times.append(self._now())
        # Put in anew, so that the first key is always the one whose last failure is the oldest.
        self._failures[key] = times

    def _forget_old(self) -> None:
        horizon = self._now() - self._window_s
        while self._failures:
            key, times = next(iter(self._failures.items()))
            # Whoever has so many addresses is not held by counting them; memory has to stay bounded.
            if times[-1] > horizon and len(self._failures) <= MAX_TRACKED:
                return
            del self._failures[key]
