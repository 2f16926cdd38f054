"""Hints over a real Redis."""

import os
import subprocess
import sys

import pytest
import redis

from core.errors import QueueError
from core.jobs import Hint
from core.queue import MaterialHint, Queue, RecordedHints, TrainHint, send_all
from core.settings import SOURCE_ROOT


@pytest.fixture
def broker(redis_url):
    connection = redis.Redis.from_url(redis_url)
    connection.flushall()
    yield connection
    connection.flushall()
    connection.close()


def test_each_hint_goes_to_the_queue_that_its_worker_listens_to(broker, redis_url):
    queue = Queue(redis_url, 60)
    for hint in (Hint("a", None, False), Hint("a", 0, False), Hint("b", None, True), Hint("b", 0, True)):
        queue.send(hint)
    for hint in (MaterialHint("u"), TrainHint("r")):
        queue.send(hint)
    lengths = {name: broker.llen(name) for name in ("ingest", "colorize", "express", "maintenance", "train")}
    assert lengths == {"ingest": 2, "colorize": 1, "express": 2, "maintenance": 0, "train": 1}


def test_what_somebody_waits_for_is_taken_before_what_was_sent_earlier(broker, redis_url, wait_until):
    queue = Queue(redis_url, 60)
    for number in range(3):
        queue.send(Hint("archive", number, False))
    queue.send(Hint("picture", None, True))
    command = ["-A", "recording_worker:app", "worker", "--pool", "solo", "-Q", "express,maintenance,colorize"]
    environment = {**os.environ, "GRAY2HUE_BROKER_URL": redis_url, "PYTHONPATH": f"{SOURCE_ROOT / 'tests'}"}
    worker = subprocess.Popen([sys.executable, "-m", "celery", *command], cwd=SOURCE_ROOT, env=environment)
    try:
        wait_until(lambda: broker.llen("notes") == 4, 60, "four tasks")
    finally:
        worker.kill()
        worker.wait()
    assert [note.decode() for note in broker.lrange("notes", 0, -1)] == [
        "ingest picture",
        *(f"colorize archive {number}" for number in range(3)),
    ]


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis+socket:///nowhere/redis.sock"])
def test_a_broker_that_is_away_is_told_by_its_code_and_costs_the_caller_nothing(url):
    queue = Queue(url, 60)
    with pytest.raises(QueueError) as caught:
        queue.send(Hint("a", None, False))
    assert caught.value.code == "broker_away"
    with pytest.raises(QueueError):
        queue.ping()
    send_all(queue, [Hint("a", None, False), Hint("a", 0, False)])


def test_hints_are_sent_in_their_order():
    sender = RecordedHints()
    hints = [Hint("a", number, False) for number in range(3)]
    send_all(sender, hints)
    assert sender.sent == hints
