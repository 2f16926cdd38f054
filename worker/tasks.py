"""The Celery tasks: names and arguments only; what they do is in handlers/."""

from typing import TYPE_CHECKING

from celery import Celery

from core.queue import COLORIZE_CHUNK, INGEST, SWEEP
from worker import handlers

if TYPE_CHECKING:
    from worker.lifecycle import WorkerProcess


def register_tasks(app: Celery, process: "WorkerProcess", chunk_time_limit_s: int) -> None:
    """Give the application its tasks; `process` brings the connections and the models."""

    @app.task(name=INGEST)  # type: ignore[untyped-decorator]  # Celery ships no types
    def ingest(job_id: str) -> None:
        handlers.ingest(process.context, job_id)

    @app.task(name=COLORIZE_CHUNK, time_limit=chunk_time_limit_s)  # type: ignore[untyped-decorator]  # as above
    def colorize_chunk(job_id: str, number: int) -> None:
        handlers.colorize_chunk(process.context, process.workshop, job_id, number)

    @app.task(name=SWEEP)  # type: ignore[untyped-decorator]  # as above
    def sweep() -> None:
        handlers.sweep(process.context)
