"""The Celery tasks: names and arguments only; what they do is in handlers/."""

from typing import TYPE_CHECKING

from celery import Celery
from celery.worker.request import Request

from core.boundaries import Boundaries, Boundary
from core.queue import COLORIZE_CHUNK, INGEST, READ_MATERIAL, SWEEP, TRAIN
from worker import handlers

NO_TIME_LIMIT_S = 10 * 365 * 86400
"""Celery has no way to take the time limit of all tasks off one of them."""

if TYPE_CHECKING:
    from worker.lifecycle import WorkerProcess


def register_tasks(
    app: Celery,
    process: "WorkerProcess",
    chunk_time_limit_s: int,
    training: handlers.TrainingSetup,
    boundaries: Boundaries,
) -> None:
    """Give the application its tasks; `process` brings the connections and the models.

    Only a process that works for training loads what that takes.
    """

    acknowledged = watched_request(boundaries)

    @app.task(name=INGEST, Request=acknowledged)  # type: ignore[untyped-decorator]  # Celery ships no types
    def ingest(job_id: str) -> None:
        handlers.ingest(process.context, job_id)

    @app.task(name=COLORIZE_CHUNK, time_limit=chunk_time_limit_s, Request=acknowledged)  # type: ignore[untyped-decorator]  # as above
    def colorize_chunk(job_id: str, number: int) -> None:
        handlers.colorize_chunk(process.context, process.workshop, job_id, number)

    @app.task(name=READ_MATERIAL)  # type: ignore[untyped-decorator]  # as above
    def read_material(upload_id: str) -> None:
        from worker.handlers.material import read_material as read

        read(process.context, upload_id)

    # Acknowledged at once: a run takes longer than the broker waits for that, and the sweeper knows of the run.
    @app.task(name=TRAIN, acks_late=False, time_limit=NO_TIME_LIMIT_S)  # type: ignore[untyped-decorator]  # as above
    def train(run_id: str) -> None:
        from worker.handlers.train import train as work_on

        work_on(process.context, training, run_id)

    @app.task(name=SWEEP)  # type: ignore[untyped-decorator]  # as above
    def sweep() -> None:
        handlers.sweep(process.context)


def watched_request(boundaries: Boundaries) -> type[Request]:
    """A message in the hands of the worker's main process, which tells when it was acknowledged."""

    class WatchedRequest(Request):  # type: ignore[misc]  # Celery ships no types
        """The message of a job."""

        def acknowledge(self) -> None:
            """Acknowledge the message, once."""
            was_acknowledged = self.acknowledged
            super().acknowledge()
            if not was_acknowledged:
                boundaries.reach(Boundary.MESSAGE_ACKNOWLEDGED, self.args[0])

    return WatchedRequest
