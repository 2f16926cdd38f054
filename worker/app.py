"""The Celery application of workers and beat."""

import logging
import os
import signal
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

from core.queue import MAINTENANCE_QUEUE, SWEEP, celery_config
from core.settings import Settings
from worker.lifecycle import WorkerProcess
from worker.tasks import register_tasks

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> Celery:
    """A Celery application with the tasks registered.

    Each pool child opens its own connections and, where the worker takes chunks to colorize, loads the
    active model before its first task.
    """
    app = Celery("gray2hue")
    app.conf.update(celery_config(settings.broker_url, settings.ingest_time_limit_s))
    app.conf.beat_schedule = {
        "sweep": {
            "task": SWEEP,
            "schedule": settings.sweep_interval_s,
            "options": {"queue": MAINTENANCE_QUEUE, "expires": 2 * settings.sweep_interval_s},
        }
    }
    process = WorkerProcess(settings)
    worker_pid = os.getpid()
    register_tasks(app, process, settings.chunk_time_limit_s)

    def start(**_signal: Any) -> None:
        try:
            process.start(consumes=set(app.amqp.queues.consume_from))
        except Exception as error:
            # Celery would log this and let the child take work that it cannot do. The whole worker ends instead,
            # so that whoever watches it sees it.
            log.critical("this worker cannot start: %s", error)
            os.kill(worker_pid, signal.SIGTERM)
            raise SystemExit(1) from error

    def stop(**_signal: Any) -> None:
        process.stop()

    worker_process_init.connect(start, weak=False)
    worker_process_shutdown.connect(stop, weak=False)
    return app
