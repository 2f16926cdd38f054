"""Looking at training runs; nothing here changes any."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import NotFoundError
from core.records import Job, JobState, Photo, PhotoState, TrainingPoint, TrainingRun, TrainingSample


def get_run(session: Session, run_id: str) -> TrainingRun:
    """A run, or NotFoundError (`no_such_run`)."""
    run = session.get(TrainingRun, run_id)
    if run is None:
        raise NotFoundError("no_such_run", f"There is no training run {run_id}.")
    return run


def list_runs(session: Session, limit: int, before: TrainingRun | None = None) -> Sequence[TrainingRun]:
    """The newest runs first. `before` continues a listing after that run."""
    runs = select(TrainingRun).order_by(TrainingRun.created_at.desc(), TrainingRun.id.desc()).limit(limit)
    if before is not None:
        same_time = TrainingRun.created_at == before.created_at
        runs = runs.where((TrainingRun.created_at < before.created_at) | (same_time & (TrainingRun.id < before.id)))
    return session.scalars(runs).all()


def points(session: Session, run_id: str, after: int = -1) -> Sequence[TrainingPoint]:
    """What was measured after a step, in the order of the steps."""
    found = select(TrainingPoint).where(TrainingPoint.run_id == run_id, TrainingPoint.step > after)
    return session.scalars(found.order_by(TrainingPoint.step)).all()


def samples(session: Session, run_id: str) -> Sequence[TrainingSample]:
    """The run's pictures, by step and number."""
    found = select(TrainingSample).where(TrainingSample.run_id == run_id)
    return session.scalars(found.order_by(TrainingSample.step, TrainingSample.number, TrainingSample.kind)).all()


def get_sample(session: Session, run_id: str, step: int, number: int, kind: str) -> TrainingSample:
    """One picture of a run, or NotFoundError (`no_such_sample`)."""
    found = session.get(TrainingSample, (run_id, step, number, kind))
    if found is None:
        raise NotFoundError("no_such_sample", f"There is no such picture of the training run {run_id}.")
    return found


def is_colorizing(session: Session) -> bool:
    """Whether photographs of a running job wait or are worked on, so that a shared device is better left to them."""
    opened = (
        select(Photo.id)
        .join(Job, Photo.job_id == Job.id)
        .where(Job.state == JobState.RUNNING, Photo.state.in_((PhotoState.PENDING, PhotoState.RUNNING)))
    )
    return session.scalar(opened.limit(1)) is not None
