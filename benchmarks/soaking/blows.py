"""Threads that kill, restart and forget, at moments that a seed decides."""

import contextlib
import logging
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence

import redis

from benchmarks.soaking.messages import forget_all
from benchmarks.soaking.postgres import OwnPostgres
from benchmarks.soaking.stack import SoakedStack, children, runs, wait_for

PAUSE_S = (5.0, 40.0)
FLUSH_S = 60.0
VICTIM_TIMEOUT_S = 120.0

log = logging.getLogger(__name__)


class Blows:
    """One kind of blow, again and again. `times` tells when, in seconds since 1970.

    Args:
        strike: does it once.
        pause_s: gives the seconds until the next one.
    """

    def __init__(self, strike: Callable[[], str], pause_s: Callable[[], float]) -> None:
        self.times: list[float] = []
        self.kinds: list[str] = []
        self._strike = strike
        self._pause_s = pause_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Blows":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._pause_s()):
            try:
                kind = self._strike()
            except Exception:
                log.exception("a blow went wrong")
                continue
            self.times.append(time.time())
            self.kinds.append(kind)


def kills(stack: SoakedStack, rng: random.Random) -> Blows:
    """kill -9 of the worker's main process or of its pool child."""

    def strike() -> str:
        leader = wait_for(lambda: stack.leader("worker"), VICTIM_TIMEOUT_S, "a worker")
        child = wait_for(lambda: children(leader), VICTIM_TIMEOUT_S, "a pool child")[0]
        kind, pid = rng.choice((("parent", leader), ("child", child)))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        # Once the main process is gone, its child may go on for a moment, until the supervisor has ended it.
        wait_for(lambda: not runs(child), VICTIM_TIMEOUT_S, "the end of a killed worker")
        return kind

    return Blows(strike, lambda: rng.uniform(*PAUSE_S))


def restarts(server: OwnPostgres, rng: random.Random) -> Blows:
    """A restart of the database, or kill -9 of its main process."""

    def strike() -> str:
        kind = rng.choice(("restart", "kill"))
        server.restart() if kind == "restart" else server.kill()
        return kind

    return Blows(strike, lambda: rng.uniform(*PAUSE_S))


def flushes(stack: SoakedStack) -> Blows:
    """FLUSHALL."""

    def strike() -> str:
        with contextlib.suppress(redis.ConnectionError):
            forget_all(stack.broker_url)
        return "flush"

    return Blows(strike, lambda: FLUSH_S)


def recoveries(blows: Sequence[float], committed: Sequence[float]) -> list[float]:
    """Seconds from each blow to the next committed result, as far as there was one; both in order."""
    found = []
    for blow in blows:
        following = next((at for at in committed if at > blow), None)
        if following is not None:
            found.append(following - blow)
    return found
