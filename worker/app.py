"""The Celery application of workers and beat."""

import logging
import os
import signal
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown, worker_shutting_down

from core.boundaries import boundaries
from core.queue import MAINTENANCE_QUEUE, SWEEP, TRAIN_QUEUE, celery_config
from core.settings import Settings
from worker.handlers import TrainingSetup
from worker.lifecycle import WorkerProcess
from worker.tasks import register_tasks
from worker.yielding import StopFlag, allow_children, lower_priority

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> Celery:
    """A Celery application with the tasks registered.

    Each pool child opens its own connections and, where the worker takes chunks to colorize, loads the
    active model before its first task. One that trains steps back behind all others, deletes what runs that are over
    left on this machine, and lays its run down when the worker is to end.
    """
    app = Celery("gray2hue")
    app.conf.update(celery_config(settings.broker_url, settings.ingest_time_limit_s))
    app.conf.worker_consumer = "worker.consumer:Consumer"
    app.conf.beat_schedule = {
        "sweep": {
            "task": SWEEP,
            "schedule": settings.sweep_interval_s,
            "options": {"queue": MAINTENANCE_QUEUE, "expires": 2 * settings.sweep_interval_s},
        }
    }
    process = WorkerProcess(settings)
    worker_pid = os.getpid()
    leaving = StopFlag()
    training = training_setup(settings, leaving)
    register_tasks(app, process, settings.chunk_time_limit_s, training, boundaries(settings.faults_dir))

    def start(**_signal: Any) -> None:
        consumes = set(app.amqp.queues.consume_from)
        if TRAIN_QUEUE in consumes:
            lower_priority(settings.training_niceness)
            allow_children()
        try:
            process.start(consumes)
            if TRAIN_QUEUE in consumes:
                from worker.handlers.train import delete_old_leavings

                delete_old_leavings(process.context, training)
        except Exception as error:
            # Celery would log this and let the child take work that it cannot do. The whole worker ends instead,
            # so that whoever watches it sees it.
            log.critical("this worker cannot start: %s", error)
            os.kill(worker_pid, signal.SIGTERM)
            raise SystemExit(1) from error

    def stop(**_signal: Any) -> None:
        process.stop()

    def leave(**_signal: Any) -> None:
        leaving.raise_()

    worker_shutting_down.connect(leave, weak=False)
    worker_process_init.connect(start, weak=False)
    worker_process_shutdown.connect(stop, weak=False)
    return app


def training_setup(settings: Settings, leaving: StopFlag) -> TrainingSetup:
    """Where and how this machine trains, from settings; `leaving` is raised when its worker has to end."""
    return TrainingSetup(
        training_dir=settings.training_dir,
        models_dir=settings.models_dir,
        imported_dir=settings.imported_models_dir,
        runtimes_dir=settings.runtimes_dir,
        device=settings.device,
        kind=settings.runtime,
        min_photos=settings.min_training_photos,
        yields=settings.training_yields,
        is_leaving=lambda: leaving.is_raised,
    )
