"""The end of a job's bytes: they go after its time to live, or when a person says so; the row stays as a tombstone."""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.errors import StateError
from core.jobs.lifecycle import lock_job
from core.jobs.states import SWEEPER, move_job
from core.records import FINAL_JOB_STATES, Job, JobState, Photo, Upload, utc_now

JOBS_PER_ROUND = 200


def expire(session: Session, job_id: str, actor: str) -> Job:
    """Let a job that is over expire now: nothing of it is served any more, and the sweeper deletes its bytes.

    Raises:
        StateError: `not_over`; `already_expired`.
    """
    job = lock_job(session, job_id)
    if job.state == JobState.EXPIRED:
        raise StateError("already_expired", "The job's files were deleted already.")
    if job.state not in FINAL_JOB_STATES:
        raise StateError("not_over", f"The job is not over yet: it is {job.state}. Cancel it first.")
    move_job(session, job, JobState.EXPIRED, code=job.code, message=job.message, actor=actor)
    return job


def expire_due(session: Session) -> int:
    """Let all jobs expire whose time to live is over; gives how many."""
    due = select(Job.id).where(Job.expires_at <= utc_now(), Job.state.in_(FINAL_JOB_STATES - {JobState.EXPIRED}))
    job_ids = session.scalars(due.order_by(Job.expires_at).limit(JOBS_PER_ROUND)).all()
    for job_id in job_ids:
        expire(session, job_id, SWEEPER)
    return len(job_ids)


def purgeable(session: Session, limit: int = 20) -> Sequence[str]:
    """Jobs that have expired, and whose bytes are not known to be gone."""
    expired = select(Job.id).where(Job.state == JobState.EXPIRED, Job.purged_at.is_(None))
    return session.scalars(expired.order_by(Job.created_at).limit(limit)).all()


def note_purged(session: Session, job_id: str) -> None:
    """Note that nothing is stored of a job any more. Its files' names, states and hashes stay."""
    job = lock_job(session, job_id)
    job.purged_at = utc_now()
    session.execute(update(Upload).where(Upload.job_id == job_id).values(key=""))
    session.execute(update(Photo).where(Photo.job_id == job_id).values(original_key="", result_key=""))


def untidy(session: Session, limit: int = 20) -> Sequence[str]:
    """Jobs that are over, and whose folders nobody has looked through since for what dead workers left."""
    over = select(Job.id).where(Job.state.in_(FINAL_JOB_STATES - {JobState.EXPIRED}), Job.tidied_at.is_(None))
    return session.scalars(over.order_by(Job.finished_at).limit(limit)).all()


def note_tidied(session: Session, job_id: str) -> None:
    """Note that nothing is stored of a job but what its rows refer to; not if it was taken up again meanwhile."""
    over = Job.state.in_(FINAL_JOB_STATES)
    session.execute(update(Job).where(Job.id == job_id, over).values(tidied_at=utc_now()))
