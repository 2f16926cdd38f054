"""One round of the sweeper."""

from core import jobs
from core.queue import send_all
from worker.handlers.context import Context


def sweep(context: Context) -> None:
    """Take back what dead workers held, close what is done, and send the hints that may be lost."""
    with context.database.write() as session:
        hints = jobs.sweep(session, context.job_limits)
    send_all(context.hints, hints)
