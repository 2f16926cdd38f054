"""One round of the sweeper."""

from core import jobs, training_material, training_runs
from core.queue import AnyHint, send_all
from core.records import utc_now
from worker.handlers.context import Context


def sweep(context: Context) -> None:
    """Take back what dead workers held, close what is done, start what is due, send the hints that may be lost.

    Training comes in a transaction of its own: what goes wrong with it concerns no job.
    """
    limits = context.job_limits
    with context.database.write() as session:
        hints: list[AnyHint] = [*jobs.sweep(session, limits)]
    send_all(context.hints, hints)
    with context.database.write() as session:
        # Rows are locked in the order in which all others lock them: the schedule, runs, uploads.
        hints = [*training_runs.start_due(session, utc_now())]
        hints += training_runs.sweep_runs(session, resend_after_s=limits.resend_after_s, max_deaths=limits.max_deaths)
        hints += training_material.sweep_uploads(
            session, resend_after_s=limits.resend_after_s, max_deaths=limits.max_deaths
        )
    send_all(context.hints, hints)
    clear_away(context)


def clear_away(context: Context) -> None:
    """Delete the bytes of training material that nobody needs: of uploads that were read, and of what was withdrawn."""
    with context.database.read() as session:
        keys = training_material.needless_keys(session)
    if not keys:
        return
    for key in keys:
        context.storage.delete(key)
    with context.database.write() as session:
        training_material.forget_keys(session, keys)
