"""One round of the sweeper."""

import io
import logging
import secrets
import time
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from core import jobs, training_material, training_runs
from core.database import is_away
from core.errors import QueueError, StorageError, TransientError
from core.leases import take_lease
from core.queue import AnyHint, send_all
from core.records import utc_now
from worker.handlers.context import Context
from worker.handlers.housekeeping import drop_given_up

log = logging.getLogger(__name__)

LEASE = "sweep"
LEASE_ROUNDS = 3.0
NEXT_ROUND = 0.8
"""Of the interval between two rounds: so much later the next may begin, on whichever worker."""

PROBE_BYTES = 1 << 20
UNFINISHED_S = 24 * 3600.0
"""What is being stored is written to all the time; what nobody wrote to for so long, nobody will."""


def sweep(context: Context) -> None:
    """Do a round, unless another worker does, or did just now. Each part fails by itself."""
    began = time.monotonic()
    if not hold_lease(context, LEASE_ROUNDS * context.sweep_interval_s):
        return
    for part in PARTS:
        try:
            part(context)
        except Exception as error:
            # The next round comes soon.
            if isinstance(error, TransientError) or (isinstance(error, DBAPIError) and is_away(error)):
                log.warning("%s in this round of the sweeper: %s", part.__name__, error)
            else:
                log.exception("%s failed in this round of the sweeper", part.__name__)
    hold_lease(context, NEXT_ROUND * context.sweep_interval_s - (time.monotonic() - began))


def hold_lease(context: Context, duration_s: float) -> bool:
    """Take the right to sweep, or change for how long one has it."""
    with context.database.write() as session:
        return take_lease(session, LEASE, context.owner, duration_s)


def sweep_jobs(context: Context) -> None:
    """Take back what dead workers held, close what is done, send the hints that may be lost."""
    is_empty = queue_is_empty(context)
    with context.database.write() as session:
        swept = jobs.sweep(session, context.job_limits, queue_is_empty=is_empty)
    send_all(context.hints, swept.hints)
    drop_given_up(context, swept.given_up_job_ids)


def queue_is_empty(context: Context) -> bool:
    """Whether the broker is known to have no message of a chunk."""
    try:
        return context.hints.waiting_chunks() == 0
    except QueueError:
        return False


def sweep_training(context: Context) -> None:
    """The same for training, and start the run that is due."""
    limits = context.job_limits
    with context.database.write() as session:
        # Rows are locked in the order in which all others lock them: the schedule, runs, uploads.
        hints: list[AnyHint] = [*training_runs.start_due(session, utc_now())]
        hints += training_runs.sweep_runs(session, resend_after_s=limits.resend_after_s, max_deaths=limits.max_deaths)
        hints += training_material.sweep_uploads(
            session, resend_after_s=limits.resend_after_s, max_deaths=limits.max_deaths
        )
    send_all(context.hints, hints)


def go_on_with_room(context: Context) -> None:
    """Let the jobs go on that were paused for want of room, once there is some."""
    with context.database.read() as session:
        if not jobs.jobs_paused_for_room(session):
            return
    if not has_room(context):
        return
    with context.database.write() as session:
        hints = jobs.resume_paused_for_room(session, context.job_limits)
    send_all(context.hints, hints)


def has_room(context: Context) -> bool:
    """Whether the storage has its reserve free, and takes something."""
    free_bytes = context.storage.free_bytes()
    if free_bytes is not None and free_bytes < context.storage_reserve_bytes:
        return False
    key = f"probes/{secrets.token_hex(8)}"
    try:
        context.storage.put(key, io.BytesIO(bytes(PROBE_BYTES)))
    except TransientError:
        return False
    finally:
        context.storage.delete(key)
    return True


def retire(context: Context) -> None:
    """Delete all that is stored of jobs that have expired."""
    context.housekeeping.retire(context)


def tidy(context: Context) -> None:
    """Delete what nobody needs of jobs that are over."""
    context.housekeeping.tidy(context)


def forget_unfinished(context: Context) -> None:
    """Delete what was begun to be stored, and will never be finished."""
    context.storage.forget_unfinished(UNFINISHED_S)


def clear_away(context: Context) -> None:
    """Delete the bytes of training material that nobody needs: of uploads that were read, and of what was withdrawn.

    Raises:
        StorageError: some cannot be deleted; the others are.
    """
    with context.database.read() as session:
        keys = training_material.needless_keys(session)
    if not keys:
        return
    deleted, failure = [], None
    for key in keys:
        try:
            context.storage.delete(key)
            deleted.append(key)
        except StorageError as error:
            failure = error
    with context.database.write() as session:
        training_material.forget_keys(session, deleted)
    if failure is not None:
        raise failure


PARTS: tuple[Callable[[Context], None], ...] = (
    sweep_jobs,
    sweep_training,
    go_on_with_room,
    retire,
    forget_unfinished,
    tidy,
    clear_away,
)
