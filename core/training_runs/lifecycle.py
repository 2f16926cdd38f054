"""A training run from its submission to its claim, and how it is canceled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import registry
from core.database import for_update
from core.errors import NotFoundError, StateError
from core.records import FINAL_RUN_STATES, RunState, RunTrigger, TrainingRun, utc_now
from core.training.config import TrainingConfig

OPEN_RUN_STATES = (RunState.QUEUED, RunState.RUNNING, RunState.CANCELING)


@dataclass(frozen=True)
class TrainHint:
    """A message worth sending: take up this training run."""

    run_id: str


def submit_run(
    session: Session, *, trigger: RunTrigger, actor: str, config: Mapping[str, Any], parent: str | None = None
) -> TrainingRun:
    """Put a run into the queue; runs are worked on one at a time, in the order of their submission.

    Args:
        session: a writing one.
        trigger: who or what asked for it.
        actor: the person's name, or "schedule".
        config: a TrainingConfig in full, as plain values.
        parent: the version that training begins from; None for the active one.

    Raises:
        NotFoundError: no_such_model.
        CheckpointError: no_model.
    """
    version = registry.active_version(session) if parent is None else registry.get_version(session, parent)
    checked = TrainingConfig.model_validate(config)
    run = TrainingRun(
        trigger=trigger,
        actor=actor,
        config=checked.model_dump(mode="json"),
        parent=version.version,
        steps_total=checked.steps_total,
        sent_at=utc_now(),
    )
    session.add(run)
    session.flush()
    return run


def lock_open_runs(session: Session) -> Sequence[TrainingRun]:
    """The runs that are not over, oldest first, locked until the transaction ends."""
    opened = select(TrainingRun).where(TrainingRun.state.in_(OPEN_RUN_STATES))
    return session.scalars(for_update(opened.order_by(TrainingRun.created_at, TrainingRun.id))).all()


def lock_run(session: Session, run_id: str) -> TrainingRun:
    """The run, locked until the transaction ends; NotFoundError (`no_such_run`)."""
    run = session.scalar(select(TrainingRun).where(TrainingRun.id == run_id).with_for_update())
    if run is None:
        raise NotFoundError("no_such_run", f"There is no training run {run_id}.")
    return run


def cancel_run(session: Session, run_id: str) -> TrainingRun:
    """Stop a run: at once while it waits, else as soon as its worker notices.

    Raises:
        NotFoundError: no_such_run.
        StateError: already_over.
    """
    run = lock_run(session, run_id)
    if run.state in FINAL_RUN_STATES:
        raise StateError("already_over", f"The training run is over already: {run.state}.")
    if run.state == RunState.QUEUED:
        end_run(run, RunState.CANCELED)
    else:
        run.state = RunState.CANCELING
    return run


def end_run(run: TrainingRun, state: RunState, code: str = "", message: str = "") -> None:
    """Bring a run to a final state."""
    run.state, run.code, run.message = state, code, message
    run.phase, run.finished_at = "", utc_now()
    run.lease_owner, run.lease_until = "", None
