"""A job from its submission to its end: submit, hand out chunks, cancel, settle."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.errors import NotFoundError, StateError
from core.options import JobOptions
from core.records import FINAL_JOB_STATES, Chunk, Job, JobState, Photo, PhotoState, Upload, utc_now

OPEN_PHOTO_STATES = (PhotoState.PENDING, PhotoState.RUNNING)


@dataclass(frozen=True)
class JobLimits:
    """The job engine's measures: how much is in flight, and when something counts as lost.

    `chunks_in_flight` bounds what one job keeps in the queue, so that a big one does not starve a small one.
    """

    chunks_in_flight: int = 4
    lease_s: float = 30.0
    resend_after_s: float = 30.0
    max_deaths: int = 3

    @property
    def lease(self) -> timedelta:
        """How long a claim stands without being renewed."""
        return timedelta(seconds=self.lease_s)


@dataclass(frozen=True)
class Hint:
    """A message worth sending: unpack this job's uploads (`chunk` None), or work on this chunk of it."""

    job_id: str
    chunk: int | None
    express: bool


def submit(
    session: Session,
    *,
    owner_id: str,
    name: str,
    model_version: str,
    uploads: Sequence[tuple[str, str, int]],
    express: bool,
    job_id: str,
    options: JobOptions | None = None,
) -> Job:
    """Record a job whose uploads are already durable in the storage.

    Args:
        uploads: (name as sent, storage key, size in bytes) of each file.
        express: whether it is one photograph that somebody is waiting for.
        options: pinned with the job; None for the defaults.
    """
    job = Job(
        id=job_id,
        owner_id=owner_id,
        name=name,
        model_version=model_version,
        options=options or JobOptions(),
        express=express,
        ingest_sent_at=utc_now(),
    )
    job.uploads = [
        Upload(position=position, name=upload_name, key=key, size_bytes=size_bytes)
        for position, (upload_name, key, size_bytes) in enumerate(uploads)
    ]
    session.add(job)
    session.flush()
    return job


def lock_job(session: Session, job_id: str) -> Job:
    """The job, locked until the transaction ends, so that its chunks are handed out by one at a time."""
    job = session.scalar(select(Job).where(Job.id == job_id).with_for_update())
    if job is None:
        raise NotFoundError("not_found", f"There is no job {job_id}.")
    return job


def is_stopping(session: Session, job_id: str) -> bool:
    """Whether a worker should lay the job's photos down: it was canceled, or is over."""
    state = session.scalar(select(Job.state).where(Job.id == job_id))
    return state is None or state == JobState.CANCELING or state in FINAL_JOB_STATES


def dispatch(session: Session, job: Job, limits: JobLimits) -> list[Hint]:
    """Mark the job's next chunks as sent, up to its window, and give their hints."""
    if job.state != JobState.RUNNING:
        return []
    unfinished = select(Chunk).where(Chunk.job_id == job.id, Chunk.finished_at.is_(None))
    in_flight = session.scalar(
        select(func.count()).select_from(unfinished.where(Chunk.sent_at.is_not(None)).subquery())
    )
    room = limits.chunks_in_flight - (in_flight or 0)
    if room <= 0:
        return []
    chunks = session.scalars(unfinished.where(Chunk.sent_at.is_(None)).order_by(Chunk.number).limit(room)).all()
    now = utc_now()
    for chunk in chunks:
        chunk.sent_at = now
    session.flush()
    return [Hint(job.id, chunk.number, job.express) for chunk in chunks]


def cancel(session: Session, job_id: str) -> Job:
    """Stop a job: what waits is canceled now, what a worker has in hand within its chunk.

    Raises:
        StateError: `already_over`, when the job has ended.
    """
    job = lock_job(session, job_id)
    if job.state in FINAL_JOB_STATES:
        raise StateError("already_over", f"The job is over already: {job.state}.")
    job.state = JobState.CANCELING
    session.execute(
        update(Photo)
        .where(Photo.job_id == job_id, Photo.state == PhotoState.PENDING)
        .values(state=PhotoState.CANCELED, finished_at=utc_now())
    )
    settle(session, job)
    return job


def settle(session: Session, job: Job) -> None:
    """Close the job if nothing of it is left to do. The job must be locked."""
    session.flush()
    if job.state not in (JobState.RUNNING, JobState.CANCELING):
        return
    unpacking = job.ingest_lease_until is not None and job.ingest_lease_until > utc_now()
    if job.ingested_at is None and (job.state == JobState.RUNNING or unpacking):
        return
    if session.scalar(select(Photo.id).where(Photo.job_id == job.id, Photo.state.in_(OPEN_PHOTO_STATES)).limit(1)):
        return
    if job.state == JobState.CANCELING:
        end(job, JobState.CANCELED)
        return
    failed = session.scalar(select(Photo.id).where(Photo.job_id == job.id, Photo.state == PhotoState.FAILED).limit(1))
    end(job, JobState.COMPLETED_WITH_ERRORS if failed else JobState.COMPLETED)


def end(job: Job, state: JobState, code: str = "", message: str = "") -> None:
    """Bring the job to a final state."""
    job.state, job.code, job.message = state, code, message
    job.finished_at = utc_now()
    job.ingest_owner, job.ingest_lease_until = "", None
