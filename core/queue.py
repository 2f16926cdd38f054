"""The Celery client: the names of the tasks and queues, and the sending of hints.

A message only says where to look in the database. Any of them may get lost, come twice or come late.
"""

import logging
from collections.abc import Iterable
from typing import Any, Protocol

from celery import Celery
from kombu.entity import Exchange
from kombu.entity import Queue as BrokerQueue
from kombu.exceptions import OperationalError

from core.errors import QueueError
from core.jobs import Hint
from core.training_material import MaterialHint as MaterialHint
from core.training_runs import TrainHint as TrainHint

INGEST = "gray2hue.ingest"
COLORIZE_CHUNK = "gray2hue.colorize_chunk"
READ_MATERIAL = "gray2hue.read_material"
TRAIN = "gray2hue.train"
SWEEP = "gray2hue.sweep"

INGEST_QUEUE = "ingest"
EXPRESS_QUEUE = "express"
MAINTENANCE_QUEUE = "maintenance"
COLORIZE_QUEUE = "colorize"
TRAIN_QUEUE = "train"
CHUNK_QUEUES = (EXPRESS_QUEUE, COLORIZE_QUEUE)
QUEUES = (EXPRESS_QUEUE, MAINTENANCE_QUEUE, COLORIZE_QUEUE, INGEST_QUEUE, TRAIN_QUEUE)

AnyHint = Hint | MaterialHint | TrainHint

SENDER_TIMEOUT_S = 3.0
"""So long a sender waits for each answer of a broker that took the connection; people wait for who sends."""

LISTENER_TIMEOUT_S = 30.0
"""The same of workers and of the clock. It has to be well above the second for which kombu lets a BRPOP rest."""

log = logging.getLogger(__name__)


class HintSender(Protocol):
    """What sends hints: the broker's client, or a list in a test."""

    def send(self, hint: AnyHint) -> None:
        """Send one hint; QueueError (`broker_away`) when the broker cannot be reached."""

    def waiting_chunks(self) -> int:
        """How many messages that ask for a chunk nobody has taken yet; QueueError (`broker_away`)."""


def send_all(sender: HintSender, hints: Iterable[AnyHint]) -> None:
    """Send hints of what is committed. A broker that is away costs nothing but time: the sweeper re-sends."""
    for hint in hints:
        try:
            sender.send(hint)
        except QueueError as error:
            log.warning("%s not sent: %s", hint, error.message)
            return


def celery_config(
    broker_url: str, task_time_limit_s: int, broker_timeout_s: float = LISTENER_TIMEOUT_S
) -> dict[str, Any]:
    """Settings that client, workers and beat share, but for how long each waits for the broker's answers.

    Late acknowledgement with rejection on a lost worker brings a dead worker's message back at once. The visibility
    timeout exceeds the hard time limit, since Redis would else deliver a message twice while the first worker is at it.

    The queues are reached by the default exchange, which knows each by its name. Any other exchange has a table of
    bindings in Redis, which senders write once and never again: when Redis loses it, messages would go nowhere.
    """
    visibility = {"visibility_timeout": task_time_limit_s + 600}
    return {
        "broker_url": broker_url,
        "task_queues": [broker_queue(name) for name in QUEUES],
        "task_default_queue": MAINTENANCE_QUEUE,
        "task_default_exchange": "",
        "task_create_missing_queues": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            **visibility,
            "queue_order_strategy": "priority",
            "socket_keepalive": True,
            "socket_connect_timeout": 5,
            "socket_timeout": broker_timeout_s,
        },
        "result_backend_transport_options": visibility,
        **visibility,
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_time_limit": task_time_limit_s,
        "task_serializer": "json",
        "accept_content": ["json"],
        "worker_prefetch_multiplier": 1,
        "worker_proc_alive_timeout": 120.0,
        "worker_soft_shutdown_timeout": 30.0,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "enable_utc": True,
    }


def broker_queue(name: str) -> BrokerQueue:
    """A queue as Celery and kombu know it."""
    default_exchange = Exchange("", type="direct")  # type: ignore[no-untyped-call]  # kombu's types are not whole
    return BrokerQueue(name, default_exchange, routing_key=name)  # type: ignore[no-untyped-call]  # as above


class Queue:
    """The broker's client. Each call ends within a few times SENDER_TIMEOUT_S, also when the broker stays silent.

    Args:
        broker_url: e.g. redis://host:6379/0, or redis+socket:///run/redis.sock.
        task_time_limit_s: a task's hard time limit.
    """

    def __init__(self, broker_url: str, task_time_limit_s: int) -> None:
        self._celery = Celery("gray2hue", set_as_current=False)
        self._celery.conf.update(celery_config(broker_url, task_time_limit_s, SENDER_TIMEOUT_S))

    def send(self, hint: AnyHint) -> None:
        """See HintSender.send."""
        name, queue, arguments = route(hint)
        retry = {"max_retries": 1, "interval_start": 0.1, "interval_step": 0.1}
        try:
            self._celery.send_task(name, args=arguments, queue=queue, retry=True, retry_policy=retry)
        except OperationalError as error:
            raise QueueError("broker_away", "The broker does not answer.") from error

    def waiting_chunks(self) -> int:
        """See HintSender.waiting_chunks."""
        connection = self._celery.connection_for_read()
        try:
            with connection:
                connection.ensure_connection(max_retries=1, timeout=2)
                channel = connection.default_channel
                declared = [channel.queue_declare(queue=name, auto_delete=False) for name in CHUNK_QUEUES]
        except (OperationalError, *connection.connection_errors) as error:
            raise QueueError("broker_away", "The broker does not answer.") from error
        return sum(queue.message_count for queue in declared)

    def ping(self) -> None:
        """Raise QueueError (`broker_away`) unless the broker answers."""
        try:
            with self._celery.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, timeout=2)
        except OperationalError as error:
            raise QueueError("broker_away", "The broker does not answer.") from error


def route(hint: AnyHint) -> tuple[str, str, list[Any]]:
    """A hint's task, queue and arguments. What somebody waits for goes by the express queue, unpacking included."""
    if isinstance(hint, MaterialHint):
        return READ_MATERIAL, INGEST_QUEUE, [hint.upload_id]
    if isinstance(hint, TrainHint):
        return TRAIN, TRAIN_QUEUE, [hint.run_id]
    if hint.chunk is None:
        return INGEST, EXPRESS_QUEUE if hint.express else INGEST_QUEUE, [hint.job_id]
    return COLORIZE_CHUNK, EXPRESS_QUEUE if hint.express else COLORIZE_QUEUE, [hint.job_id, hint.chunk]


class RecordedHints:
    """A sender that keeps what it was given, for tests and for running without a broker."""

    def __init__(self) -> None:
        self.sent: list[AnyHint] = []

    def send(self, hint: AnyHint) -> None:
        """See HintSender.send."""
        self.sent.append(hint)

    def waiting_chunks(self) -> int:
        """See HintSender.waiting_chunks."""
        return sum(isinstance(hint, Hint) and hint.chunk is not None for hint in self.sent)
