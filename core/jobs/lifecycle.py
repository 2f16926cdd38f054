"""A job from its first byte to its end: receive, submit, hand out chunks, pause, cancel, retry, settle, expire."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from core.database import for_update
from core.errors import NotFoundError, StateError
from core.jobs.owners import OwnerLimits, check_limits
from core.jobs.states import OPEN_PHOTO_STATES, SWEEPER, begin_job, move_job, move_photos, user_actor
from core.options import JobOptions
from core.records import (
    FINAL_JOB_STATES,
    Chunk,
    Job,
    JobEvent,
    JobState,
    PausedBy,
    Photo,
    PhotoState,
    Upload,
    utc_now,
)


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

    @property
    def resend_after(self) -> timedelta:
        """After how long a hint that nothing came of may be lost."""
        return timedelta(seconds=self.resend_after_s)


@dataclass(frozen=True)
class Hint:
    """A message worth sending: unpack this job's uploads (`chunk` None), or work on this chunk of it."""

    job_id: str
    chunk: int | None
    express: bool


def receive(
    session: Session,
    *,
    job_id: str,
    owner_id: str,
    name: str,
    model_version: str,
    lease_s: float,
    limits: OwnerLimits | None = None,
    new_bytes: int = 0,
) -> Job:
    """Record a job whose uploads begin to come in, so that no byte is ever stored that no row knows of.

    Args:
        lease_s: how long they are waited for, unless `renew_receiving` prolongs it.
        limits: what the owner may have at a time.
        new_bytes: how much will come, as far as it is known.

    Raises:
        LimitError: as check_limits says.
    """
    check_limits(session, owner_id, limits or OwnerLimits(), new_bytes)
    job = Job(
        id=job_id,
        owner_id=owner_id,
        name=name,
        state=JobState.RECEIVING,
        model_version=model_version,
        receiving_until=utc_now() + timedelta(seconds=lease_s),
    )
    begin_job(session, job, user_actor(owner_id))
    return job


def renew_receiving(session: Session, job_id: str, lease_s: float) -> bool:
    """Wait on for the uploads; False when they were given up."""
    waited_for = (Job.id == job_id, Job.state == JobState.RECEIVING, Job.receiving_until.is_not(None))
    until = utc_now() + timedelta(seconds=lease_s)
    return session.scalar(update(Job).where(*waited_for).values(receiving_until=until).returning(Job.id)) is not None


def give_up_receiving(session: Session, now: datetime) -> list[str]:
    """Wait no longer for uploads that stand still, and give the jobs whose bytes are to be deleted before their rows.

    So a row that is still there tells of bytes that may still be there.
    """
    receiving = Job.state == JobState.RECEIVING
    session.execute(update(Job).where(receiving, Job.receiving_until < now).values(receiving_until=None))
    return list(session.scalars(select(Job.id).where(receiving, Job.receiving_until.is_(None))))


def drop_receiving(session: Session, job_id: str) -> bool:
    """Forget a job whose uploads were refused or broke off, and of which nothing is stored; it was never accepted.

    Returns:
        Whether it was forgotten. One that was accepted never is.
    """
    receiving = select(Job.id).where(Job.id == job_id, Job.state == JobState.RECEIVING).with_for_update()
    if session.scalar(receiving) is None:
        return False
    session.execute(delete(JobEvent).where(JobEvent.job_id == job_id))
    session.execute(delete(Job).where(Job.id == job_id))
    return True


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
    priority: int = 0,
    lifetime_days: int = 0,
    actor: str = "",
) -> Job:
    """Accept a job whose uploads are durable in the storage.

    Args:
        uploads: (name as sent, storage key, size in bytes) of each file.
        express: whether it is one photograph that somebody is waiting for.
        options: pinned with the job; None for the defaults.
        priority: -1, 0 or 1; what is higher comes first.
        lifetime_days: after so many days from its end its bytes are deleted; 0 keeps them.
        actor: who sent it, for the log.

    """
    job = find_locked(session, job_id)
    if job is None:
        job = receive(session, job_id=job_id, owner_id=owner_id, name=name, model_version=model_version, lease_s=0)
    elif job.receiving_until is None:
        raise StateError("upload_given_up", "The upload stood still for too long and was given up.")
    job.name, job.model_version = name, model_version
    job.options = options or JobOptions()
    job.express, job.priority, job.lifetime_days = express, priority, lifetime_days
    job.ingest_sent_at, job.receiving_until = utc_now(), None
    job.uploads = [
        Upload(position=position, name=upload_name, key=key, size_bytes=size_bytes)
        for position, (upload_name, key, size_bytes) in enumerate(uploads)
    ]
    move_job(session, job, JobState.QUEUED, actor=actor or user_actor(owner_id))
    return job


def find_locked(session: Session, job_id: str) -> Job | None:
    """The job, locked until the transaction ends, as it stands once the lock is had; None where there is none."""
    return session.scalar(for_update(select(Job).where(Job.id == job_id)))


def lock_job(session: Session, job_id: str) -> Job:
    """The job, locked until the transaction ends, so that its chunks are handed out by one at a time."""
    job = find_locked(session, job_id)
    if job is None:
        raise NotFoundError("not_found", f"There is no job {job_id}.")
    return job


def is_stopping(session: Session, job_id: str) -> bool:
    """Whether a worker should lay the job's photos down: it was paused or canceled, or is over."""
    return session.scalar(select(Job.state).where(Job.id == job_id)) != JobState.RUNNING


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


def pause(session: Session, job_id: str, actor: str = "") -> Job:
    """Let nothing more of a job be begun; what a worker has in hand it lays down within its chunk.

    Raises:
        StateError: `illegal_transition`, when it does not wait or run; `already_over`.
    """
    job = _lock_open(session, job_id)
    if job.state == JobState.PAUSED:
        job.paused_by, job.code, job.message = PausedBy.PERSON, "", ""
        return job
    move_job(session, job, JobState.PAUSED, actor=actor)
    job.paused_by = PausedBy.PERSON
    return job


def pause_for_room(session: Session, job_id: str, message: str) -> None:
    """Pause a job that runs, since the storage is full; it goes on when there is room again."""
    job = lock_job(session, job_id)
    if job.state == JobState.RUNNING:
        move_job(session, job, JobState.PAUSED, code="storage_full", message=message, actor=SWEEPER)
        job.paused_by = PausedBy.SYSTEM


def jobs_paused_for_room(session: Session) -> bool:
    """Whether any job waits for room in the storage."""
    return session.scalar(select(Job.id).where(*_WAITS_FOR_ROOM).limit(1)) is not None


def resume_paused_for_room(session: Session, limits: JobLimits) -> list[Hint]:
    """Let the jobs go on that were paused for want of room; the caller has seen that there is some."""
    hints: list[Hint] = []
    for job_id in session.scalars(select(Job.id).where(*_WAITS_FOR_ROOM).order_by(Job.created_at)).all():
        job = lock_job(session, job_id)
        if job.state == JobState.PAUSED and job.paused_by == PausedBy.SYSTEM:
            hints += _go_on(session, job, SWEEPER, limits)
    return hints


def resume(session: Session, job_id: str, actor: str, limits: JobLimits) -> tuple[Job, list[Hint]]:
    """Let a paused job go on.

    Raises:
        StateError: `not_paused`.
    """
    job = lock_job(session, job_id)
    if job.state != JobState.PAUSED:
        raise StateError("not_paused", f"The job is not paused: it is {job.state}.")
    return job, _go_on(session, job, actor, limits)


def _go_on(session: Session, job: Job, actor: str, limits: JobLimits) -> list[Hint]:
    move_job(session, job, JobState.RUNNING if job.started_at else JobState.QUEUED, actor=actor)
    job.paused_by = PausedBy.NOBODY
    # Their messages may have come and gone while nothing could be taken.
    unfinished = update(Chunk).where(Chunk.job_id == job.id, Chunk.finished_at.is_(None))
    session.execute(unfinished.values(sent_at=None))
    hints: list[Hint] = []
    if job.ingested_at is None and not is_unpacking(job):
        job.ingest_sent_at = utc_now()
        hints.append(Hint(job.id, None, job.express))
    settle(session, job)
    return hints + dispatch(session, job, limits)


def set_priority(session: Session, job_id: str, priority: int) -> Job:
    """Change how early an open job's chunks come; StateError (`already_over`)."""
    job = _lock_open(session, job_id)
    job.priority = priority
    return job


def cancel(session: Session, job_id: str, actor: str = "") -> Job:
    """Stop a job: what waits is canceled now, what a worker has in hand within its chunk.

    Raises:
        StateError: `already_over`, when the job has ended; `illegal_transition`, while its uploads still come in.
    """
    job = _lock_open(session, job_id)
    if job.state != JobState.CANCELING:
        move_job(session, job, JobState.CANCELING, actor=actor)
        job.paused_by = PausedBy.NOBODY
    move_photos(session, Photo.job_id == job_id, PhotoState.PENDING, PhotoState.CANCELED, actor=actor)
    settle(session, job)
    return job


def retry_failed(session: Session, job_id: str, actor: str, limits: JobLimits) -> tuple[Job, list[Hint]]:
    """Work once more on the photos of a job that failed after they were taken in; the others stay as they are.

    Raises:
        StateError: `not_over`; `nothing_to_retry`, when no photo failed, or those that did were refused for what they
            are.
    """
    job = lock_job(session, job_id)
    if job.state not in FINAL_JOB_STATES:
        raise StateError("not_over", f"The job is not over yet: it is {job.state}.")
    again = (Photo.job_id == job_id) & Photo.chunk.is_not(None) & (Photo.original_key != "")
    failed = select(Photo.chunk).where(again, Photo.state == PhotoState.FAILED)
    if job.state == JobState.EXPIRED or session.scalar(failed.limit(1)) is None:
        raise StateError("nothing_to_retry", "No photograph of this job failed in a way that trying again could mend.")
    move_job(session, job, JobState.RUNNING, actor=actor)
    job.finished_at = job.expires_at = job.tidied_at = None
    reopened = update(Chunk).where(Chunk.job_id == job_id, Chunk.number.in_(failed))
    session.execute(reopened.values(sent_at=None, finished_at=None))
    nothing = {"code": "", "message": "", "deaths": 0}
    move_photos(session, again, PhotoState.FAILED, PhotoState.PENDING, actor=actor, **nothing)
    return job, dispatch(session, job, limits)


def settle(session: Session, job: Job) -> None:
    """Close the job if nothing of it is left to do. The job must be locked."""
    session.flush()
    if job.state not in (JobState.RUNNING, JobState.CANCELING):
        return
    if job.ingested_at is None and (job.state == JobState.RUNNING or is_unpacking(job)):
        return
    if session.scalar(select(Photo.id).where(Photo.job_id == job.id, Photo.state.in_(OPEN_PHOTO_STATES)).limit(1)):
        return
    if job.state == JobState.CANCELING:
        end(session, job, JobState.CANCELED)
        return
    failed = session.scalar(select(Photo.id).where(Photo.job_id == job.id, Photo.state == PhotoState.FAILED).limit(1))
    end(session, job, JobState.COMPLETED_WITH_ERRORS if failed else JobState.COMPLETED)


def is_unpacking(job: Job) -> bool:
    """Whether a worker is at the job's uploads."""
    return job.ingest_lease_until is not None and job.ingest_lease_until > utc_now()


def end(session: Session, job: Job, state: JobState, code: str = "", message: str = "") -> None:
    """Bring the job to a final state; from now on its time to live runs."""
    move_job(session, job, state, code=code, message=message, actor=SWEEPER)
    job.ingest_owner, job.ingest_lease_until = "", None
    if job.lifetime_days:
        job.expires_at = utc_now() + timedelta(days=job.lifetime_days)


def _lock_open(session: Session, job_id: str) -> Job:
    job = lock_job(session, job_id)
    if job.state in FINAL_JOB_STATES:
        raise StateError("already_over", f"The job is over already: {job.state}.")
    return job


_WAITS_FOR_ROOM = (Job.state == JobState.PAUSED, Job.paused_by == PausedBy.SYSTEM)
