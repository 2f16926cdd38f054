"""Looking at jobs and photos; nothing here changes any."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import NotFoundError
from core.jobs.eta import estimate
from core.jobs.pace import WORKED_ON, measure_pace
from core.records import Job, JobEvent, JobState, Photo, PhotoState, User, utc_now

RATE_WINDOW = timedelta(seconds=60)
HAS_WARNING = Photo.warning > ""
"""Not `!=`, so that an index can be looked through."""


@dataclass(frozen=True)
class PhotoCounts:
    """A job's files, counted.

    Attributes:
        by_state: every state is there.
        warned: how many of those that are done carry a warning.
    """

    by_state: dict[PhotoState, int]
    warned: int = 0

    @property
    def total(self) -> int:
        """All files of the job found so far."""
        return sum(self.by_state.values())

    @property
    def left(self) -> int:
        """Photos that are not over yet."""
        return self.by_state[PhotoState.PENDING] + self.by_state[PhotoState.RUNNING]


@dataclass(frozen=True)
class JobProgress:
    """A job in numbers.

    Attributes:
        counts: its files.
        unpacking: whether more may still be found.
        rate: photos per second over the last minute, or None before the first.
        eta_s: the most likely number of seconds left, or None when it cannot be told.
        eta_low_s, eta_high_s: the range that it is in, or None when it is too early to tell.
    """

    counts: PhotoCounts
    unpacking: bool
    rate: float | None = None
    eta_s: float | None = None
    eta_low_s: float | None = None
    eta_high_s: float | None = None


def get_job(session: Session, job_id: str, viewer: User) -> Job:
    """The job, for its owner or an admin; NotFoundError (`not_found`) for anybody else."""
    job = session.get(Job, job_id)
    if job is None or not (viewer.is_admin or job.owner_id == viewer.id):
        raise NotFoundError("not_found", f"There is no job {job_id}.")
    return job


def list_jobs(session: Session, viewer: User, limit: int, before: Job | None = None) -> Sequence[Job]:
    """The newest jobs first; an admin sees everybody's. `before` continues a listing after that job."""
    jobs = select(Job).order_by(Job.created_at.desc(), Job.id.desc()).limit(limit)
    if not viewer.is_admin:
        jobs = jobs.where(Job.owner_id == viewer.id)
    if before is not None:
        older = Job.created_at < before.created_at
        jobs = jobs.where(older | ((Job.created_at == before.created_at) & (Job.id < before.id)))
    return session.scalars(jobs).all()


def get_photo(session: Session, job: Job, photo_id: str) -> Photo:
    """A photo of the job, or NotFoundError (`not_found`)."""
    photo = session.get(Photo, photo_id)
    if photo is None or photo.job_id != job.id:
        raise NotFoundError("not_found", f"There is no photo {photo_id} in this job.")
    return photo


def list_photos(
    session: Session,
    job_id: str,
    *,
    after: int = -1,
    limit: int = 100,
    states: Sequence[PhotoState] = (),
    warned: bool = False,
) -> Sequence[Photo]:
    """The job's photos in the order of the upload, from the first position above `after` on.

    Args:
        states: only photos in these; none means all.
        warned: only photos with a warning.
    """
    photos = select(Photo).where(Photo.job_id == job_id, Photo.position > after)
    if states:
        photos = photos.where(Photo.state.in_(states))
    if warned:
        photos = photos.where(HAS_WARNING)
    return session.scalars(photos.order_by(Photo.position).limit(limit)).all()


def list_events(session: Session, job_id: str, *, after: int = 0, limit: int = 100) -> Sequence[JobEvent]:
    """What happened to the job and to its photos, in the order in which it did, from the first id above `after` on."""
    events = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.id > after)
    return session.scalars(events.order_by(JobEvent.id).limit(limit)).all()


def measure_progress(session: Session, job: Job) -> JobProgress:
    """Count the job's photos and measure its rate over the last minute.

    Failures count into the rate, and so do photos that were looked at and left as they are, since they take time too.
    """
    counts = count_photos(session, [job.id])[job.id]
    unpacking = job.ingested_at is None and job.state in (JobState.QUEUED, JobState.RUNNING)
    if job.state != JobState.RUNNING:
        return JobProgress(counts, unpacking)
    rate = _rate(session, job)
    if unpacking:
        return JobProgress(counts, unpacking, rate)
    in_hand = counts.by_state[PhotoState.RUNNING]
    pace = measure_pace(session, job, total=counts.total, left=counts.left, in_hand=in_hand, now=utc_now())
    left = None if pace is None else estimate(pace)
    if left is None:
        return JobProgress(counts, unpacking, rate, counts.left / rate if rate else None)
    return JobProgress(counts, unpacking, rate, left.best_s, left.low_s, left.high_s)


def count_photos(session: Session, job_ids: Sequence[str]) -> dict[str, PhotoCounts]:
    """The files of several jobs, in two queries that indexes answer."""
    found: dict[str, dict[PhotoState, int]] = defaultdict(lambda: dict.fromkeys(PhotoState, 0))
    rows = session.execute(
        select(Photo.job_id, Photo.state, func.count())
        .where(Photo.job_id.in_(job_ids))
        .group_by(Photo.job_id, Photo.state)
    )
    for job_id, state, count in rows:
        found[job_id][PhotoState(state)] = count
    warned = select(Photo.job_id, func.count()).where(Photo.job_id.in_(job_ids), HAS_WARNING).group_by(Photo.job_id)
    numbers = {job_id: number for job_id, number in session.execute(warned)}  # noqa: C416 - rows are no pairs to mypy
    return {job_id: PhotoCounts(found[job_id], numbers.get(job_id, 0)) for job_id in job_ids}


def _rate(session: Session, job: Job) -> float | None:
    now = utc_now()
    since = max(now - RATE_WINDOW, job.started_at or now)
    # Not `is_not(None)`, which tempts SQLite to look through all of the job's chunks instead of the last minute.
    was_worked_on = func.coalesce(Photo.chunk, -1) >= 0
    finished = session.scalar(
        select(func.count()).where(
            Photo.job_id == job.id, Photo.state.in_(WORKED_ON), was_worked_on, Photo.finished_at > since
        )
    )
    elapsed_s = (now - since).total_seconds()
    return finished / elapsed_s if finished and elapsed_s > 0 else None
