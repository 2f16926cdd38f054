"""Hints over a real Redis."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
import redis
from kombu.transport.redis import Transport

from conftest import free_port, redis_program
from core.errors import QueueError
from core.jobs import Hint
from core.queue import QUEUES, MaterialHint, Queue, RecordedHints, TrainHint, celery_config, send_all
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


def test_how_many_messages_of_chunks_wait_is_known(broker, redis_url):
    queue = Queue(redis_url, 60)
    assert queue.waiting_chunks() == 0
    for hint in (Hint("a", None, False), Hint("a", 0, False), Hint("b", 0, True), Hint("a", 1, False)):
        queue.send(hint)
    assert queue.waiting_chunks() == 3
    with pytest.raises(QueueError):
        Queue(f"redis://127.0.0.1:{free_port()}/0", 60).waiting_chunks()


@contextmanager
def recording_worker(redis_url, *options):
    """A worker that notes what it was asked for, while the block runs."""
    command = ["-A", "recording_worker:app", "worker", "-Q", "express,maintenance,colorize", *options]
    environment = {**os.environ, "GRAY2HUE_BROKER_URL": redis_url, "PYTHONPATH": f"{SOURCE_ROOT / 'tests'}"}
    worker = subprocess.Popen([sys.executable, "-m", "celery", *command], cwd=SOURCE_ROOT, env=environment)
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


def notes(broker):
    return [note.decode() for note in broker.lrange("notes", 0, -1)]


def test_no_message_needs_a_binding_that_redis_could_lose(broker, redis_url):
    queue = Queue(redis_url, 60)
    queue.send(Hint("a", 0, False))
    broker.flushall()
    queue.send(Hint("a", 1, False))
    assert broker.llen("colorize") == 1
    assert set(map(bytes.decode, broker.keys())) <= set(QUEUES)


def test_a_worker_that_runs_gets_what_is_sent_after_redis_lost_everything(broker, redis_url, wait_until):
    queue = Queue(redis_url, 60)
    with recording_worker(redis_url, "--pool", "solo"):
        queue.send(Hint("a", 0, False))
        wait_until(lambda: notes(broker) == ["colorize a 0"], 60, "the first task")
        broker.flushall()
        queue.send(Hint("a", 1, False))
        wait_until(lambda: notes(broker) == ["colorize a 1"], 30, "the second task")


def test_what_somebody_waits_for_is_taken_before_what_was_sent_earlier(broker, redis_url, wait_until):
    queue = Queue(redis_url, 60)
    for number in range(3):
        queue.send(Hint("archive", number, False))
    queue.send(Hint("picture", None, True))
    with recording_worker(redis_url, "--pool", "solo"):
        wait_until(lambda: broker.llen("notes") == 4, 60, "four tasks")
    assert notes(broker) == [
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


@pytest.fixture
def silent_broker(monkeypatch):
    """The URL of a server that takes every connection and never says a word; senders wait only a little for it."""
    monkeypatch.setattr("core.queue.SENDER_TIMEOUT_S", 0.2)
    # What the listener does not accept the system does for it.
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def told_in_time(call):
    """The code of what a call raises; that it comes to its end at all is waited for in another thread."""
    raised = []

    def run():
        try:
            call()
        except QueueError as error:
            raised.append(error.code)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "it still waits"
    return raised


@pytest.mark.parametrize("call", ["send", "waiting_chunks", "ping"])
def test_a_broker_that_takes_connections_and_stays_silent_is_as_good_as_away(silent_broker, call):
    queue = Queue(silent_broker, 60)
    arguments = [Hint("a", 0, False)] if call == "send" else []
    assert told_in_time(lambda: getattr(queue, call)(*arguments)) == ["broker_away"]


def test_hints_are_sent_in_their_order():
    sender = RecordedHints()
    hints = [Hint("a", number, False) for number in range(3)]
    send_all(sender, hints)
    assert sender.sent == hints


class OwnRedis:
    """A Redis that a test may kill and start again; it keeps nothing."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis(port=self.port)
        self._command = [redis_program(), "--port", str(self.port), "--save", "", "--dir", str(folder)]
        self._process = None

    def start(self, wait_until):
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        wait_until(self._answers, 20, "Redis")

    def kill(self):
        self._process.kill()
        self._process.wait()

    @contextmanager
    def frozen(self):
        """While the block runs, it holds its connections and does nothing, as when its machine swaps."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _answers(self):
        try:
            return self.client.ping()
        except redis.ConnectionError:
            return False


@pytest.fixture
def own_redis(tmp_path, wait_until):
    server = OwnRedis(tmp_path)
    server.start(wait_until)
    yield server
    server.kill()
    server.client.close()


def test_a_redis_that_falls_silent_is_given_up_and_had_again_once_it_answers(own_redis, monkeypatch):
    monkeypatch.setattr("core.queue.SENDER_TIMEOUT_S", 0.2)
    queue = Queue(own_redis.url, 60)
    queue.send(Hint("a", 0, False))
    with own_redis.frozen():
        assert told_in_time(lambda: queue.send(Hint("a", 1, False))) == ["broker_away"]
        assert told_in_time(queue.waiting_chunks) == ["broker_away"]
        assert told_in_time(queue.ping) == ["broker_away"]
    own_redis.client.flushall()
    queue.send(Hint("a", 2, False))
    assert queue.waiting_chunks() == 1


def test_a_worker_waits_longer_for_its_broker_than_a_rest_of_kombu_lasts():
    timeout_s = celery_config("redis://", 60)["broker_transport_options"]["socket_timeout"]
    assert timeout_s >= 10 * Transport.brpop_timeout


def test_a_worker_outlives_its_redis_with_a_message_in_hand(own_redis, tmp_path, monkeypatch, wait_until):
    """With one message in hand and room for another, kombu 5.7 by itself ends the worker."""
    hold, log = tmp_path / "hold", tmp_path / "worker.log"
    monkeypatch.setenv("RECORDING_HOLD", str(hold))
    queue, redis_client = Queue(own_redis.url, 60), own_redis.client
    with recording_worker(own_redis.url, "-c", "2", "--loglevel", "INFO", "--logfile", log) as worker:
        for number in range(3):
            hold.touch()
            queue.send(Hint("held", number, False))
            wait_until(lambda: notes(redis_client) == [f"colorize held {number}"], 60, "a task in hand")  # noqa: B023
            own_redis.kill()
            own_redis.start(wait_until)
            hold.unlink()
            wait_until(lambda: log.read_text().count("Connected to") == number + 2, 30, "a connection")  # noqa: B023
            assert worker.poll() is None
            queue.send(Hint("next", number, False))
            wait_until(lambda: notes(redis_client) == [f"colorize next {number}"], 30, "the next task")  # noqa: B023
            redis_client.delete("notes")
    assert "Unrecoverable" not in log.read_text()
