"""What becomes of messages in Redis: copied, dropped, or all forgotten at once."""

import random
import threading

import redis

from core.queue import COLORIZE_QUEUE, EXPRESS_QUEUE, INGEST_QUEUE

LISTS = (EXPRESS_QUEUE, COLORIZE_QUEUE, INGEST_QUEUE)
POLL_S = 0.02


class Meddler:
    """A thread that looks for new messages in the queues, and copies or drops some of them.

    Args:
        broker_url: redis://... or redis+socket://...
        rng: decides which.
        copied: the share of new messages that are copied.
        dropped: the share that are dropped.
    """

    def __init__(self, broker_url: str, rng: random.Random, copied: float = 0.0, dropped: float = 0.0) -> None:
        self.copies = 0
        self.drops = 0
        self.seen = 0
        self._redis = connect(broker_url)
        self._rng = rng
        self._shares = (copied, dropped)
        self._known: set[bytes] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meddler", daemon=True)

    def __enter__(self) -> "Meddler":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()
        self._redis.close()

    def _run(self) -> None:
        while not self._over.wait(POLL_S):
            try:
                for name in LISTS:
                    self._look(name)
            except redis.RedisError:
                # It is away; it comes back.
                continue

    def _look(self, name: str) -> None:
        messages: list[bytes] = self._redis.lrange(name, 0, -1)  # type: ignore[assignment]  # only awaited by asyncio's client
        for message in messages:
            if message in self._known:
                continue
            self._known.add(message)
            self.seen += 1
            copied, dropped = self._shares
            chance = self._rng.random()
            if chance < copied:
                self._redis.rpush(name, message)
                self.copies += 1
            elif chance < copied + dropped:
                self.drops += int(bool(self._redis.lrem(name, 1, message)))  # type: ignore[arg-type]  # bytes are taken


def connect(broker_url: str) -> "redis.Redis":
    """A client of a stack's broker, from the URL as Celery takes it."""
    return redis.Redis.from_url(broker_url.replace("redis+socket://", "unix://"))


def forget_all(broker_url: str) -> None:
    """FLUSHALL."""
    with connect(broker_url) as client:
        client.flushall()
