"""The sweeper's part: hints that got lost, trainers that died."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from core.records import RunState, TrainingRun, utc_now
from core.training_runs.lifecycle import OPEN_RUN_STATES, TrainHint, end_run, lock_open_runs


def sweep_runs(session: Session, *, resend_after_s: float, max_deaths: int) -> list[TrainHint]:
    """Take back runs whose worker died, close what was canceled, and give the hint that may be lost.

    Only the oldest run's hint is worth sending: the others have to wait for it. A run whose workers die again and
    again without getting any further fails as `worker_died`.
    """
    now = utc_now()
    runs = lock_open_runs(session)
    for run in runs:
        if run.lease_until is None or run.lease_until <= now:
            _take_back(run, max_deaths)
    waiting = [run for run in runs if run.state in OPEN_RUN_STATES][:1]
    hints = [TrainHint(run.id) for run in waiting if _is_lost(run, now, resend_after_s)]
    for run in waiting[: len(hints)]:
        run.sent_at = now
    session.flush()
    return hints


def take_up_runs(session: Session) -> None:
    """Put back unharmed what an earlier run's trainer had in hand; only where it cannot be alive."""
    canceling = update(TrainingRun).where(TrainingRun.state == RunState.CANCELING)
    session.execute(canceling.values(state=RunState.CANCELED, finished_at=utc_now(), lease_owner="", lease_until=None))
    opened = update(TrainingRun).where(TrainingRun.state.in_(OPEN_RUN_STATES))
    session.execute(opened.values(state=RunState.QUEUED, lease_owner="", lease_until=None, sent_at=None))


def _take_back(run: TrainingRun, max_deaths: int) -> None:
    if run.state == RunState.CANCELING:
        end_run(run, RunState.CANCELED)
    elif run.state == RunState.RUNNING:
        run.deaths += 1
        run.lease_owner, run.lease_until = "", None
        run.state, run.sent_at = RunState.QUEUED, None
        if run.deaths >= max_deaths:
            message = f"Training ended {run.deaths} workers one after the other, at step {run.step}."
            end_run(run, RunState.FAILED, "worker_died", message)


def _is_lost(run: TrainingRun, now: datetime, resend_after_s: float) -> bool:
    sent_long_ago = run.sent_at is None or run.sent_at <= now - timedelta(seconds=resend_after_s)
    return run.state == RunState.QUEUED and sent_long_ago


def free_runs(session: Session, owner_prefix: str, alive: Collection[str] = ()) -> int:
    """End the leases of owners that are known to be dead, so that the next round takes their runs back.

    Args:
        owner_prefix: what the dead ones' names begin with.
        alive: names that do so too, and whose leases stand.

    Returns:
        How many leases were ended.
    """
    now = utc_now()
    is_dead = TrainingRun.lease_owner.startswith(owner_prefix, autoescape=True) & TrainingRun.lease_owner.not_in(alive)
    freed = update(TrainingRun).where(is_dead, TrainingRun.lease_until > now).values(lease_until=now)
    return len(session.scalars(freed.returning(TrainingRun.id)).all())
