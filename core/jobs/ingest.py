"""A job's uploads becoming photos: one worker at a time, under a lease, resumable where the last one fell."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from core.jobs.lifecycle import Hint, JobLimits, dispatch, end, find_locked, is_unpacking, lock_job, settle
from core.jobs.states import move_job
from core.options import JobOptions
from core.records import Chunk, Job, JobState, Photo, PhotoState, Upload, new_id, utc_now


@dataclass(frozen=True)
class IngestClaim:
    """The right to unpack one job's uploads; void as soon as somebody else claimed a higher epoch."""

    job_id: str
    epoch: int
    express: bool
    options: JobOptions
    uploads: tuple[tuple[str, str, int], ...]
    """(name as sent, storage key, size in bytes) of each upload."""


@dataclass(frozen=True)
class NewPhoto:
    """A file found in an upload. `code` is set where it is refused or skipped and is not to be worked on."""

    position: int
    path: str
    state: PhotoState = PhotoState.PENDING
    code: str = ""
    message: str = ""
    original_key: str = ""
    media_type: str = ""
    size_bytes: int | None = None
    sha256: str = ""
    width: int | None = None
    height: int | None = None
    bit_depth: int | None = None
    result_path: str = ""
    result_path_sha256: str | None = None
    id: str = field(default_factory=new_id)


def claim_ingest(session: Session, job_id: str, owner: str, limits: JobLimits) -> IngestClaim | None:
    """Take the job's unpacking, or give None where there is nothing to unpack or somebody is at it."""
    job = find_locked(session, job_id)
    now = utc_now()
    if job is None or job.ingested_at is not None or job.state not in (JobState.QUEUED, JobState.RUNNING):
        return None
    if is_unpacking(job):
        return None
    if job.state == JobState.QUEUED:
        move_job(session, job, JobState.RUNNING, actor=owner)
    job.started_at = job.started_at or now
    job.ingest_owner, job.ingest_lease_until = owner, now + limits.lease
    job.ingest_epoch += 1
    uploads = tuple((upload.name, upload.key, upload.size_bytes) for upload in job.uploads)
    return IngestClaim(job.id, job.ingest_epoch, job.express, job.options, uploads)


def renew_ingest(session: Session, claim: IngestClaim, limits: JobLimits) -> bool:
    """Prolong the lease; False when the claim is void."""
    renewed = session.scalar(
        update(Job)
        .where(Job.id == claim.job_id, Job.ingest_epoch == claim.epoch, Job.ingest_lease_until.is_not(None))
        .values(ingest_lease_until=utc_now() + limits.lease)
        .returning(Job.id)
    )
    return renewed is not None


def release_ingest(session: Session, claim: IngestClaim) -> None:
    """Let go unharmed, e.g. when the storage is away; the sweeper sends the hint again."""
    job = _job_of(session, claim)
    if job is not None:
        job.ingest_owner, job.ingest_lease_until, job.ingest_sent_at = "", None, utc_now()
        settle(session, job)


def photos_added(session: Session, job_id: str) -> int:
    """How many files of the job have their row; their positions are 0 to that number less one."""
    return session.scalar(select(func.count()).select_from(Photo).where(Photo.job_id == job_id)) or 0


def result_paths(session: Session, job_id: str) -> list[str]:
    """The result paths that the job's files have taken so far."""
    return list(session.scalars(select(Photo.result_path).where(Photo.job_id == job_id, Photo.result_path != "")))


def add_photos(
    session: Session, claim: IngestClaim, photos: Sequence[NewPhoto], limits: JobLimits
) -> list[Hint] | None:
    """Record the files; those still to be worked on make one chunk. None when the claim is void or the job stops."""
    job = _job_of(session, claim)
    if job is None or job.state != JobState.RUNNING:
        return None
    # Only deaths one after the other, without getting any further, tell that this very upload ends workers.
    job.ingest_deaths = 0
    pending = [photo for photo in photos if photo.state == PhotoState.PENDING]
    number: int | None = None
    if pending:
        number = next_chunk_number(session, job.id)
        session.add(Chunk(job_id=job.id, number=number))
    now = utc_now()
    for photo in photos:
        waits = photo.state == PhotoState.PENDING
        row = Photo(job_id=job.id, chunk=number if waits else None, finished_at=None if waits else now, **vars(photo))
        session.add(row)
    session.flush()
    return dispatch(session, job, limits)


def next_chunk_number(session: Session, job_id: str) -> int:
    """The lowest number above the job's chunks, counted from 0."""
    last = session.scalar(select(func.max(Chunk.number)).where(Chunk.job_id == job_id))
    return 0 if last is None else last + 1


def finish_ingest(session: Session, claim: IngestClaim, *, keep_uploads: bool = False) -> bool:
    """Close the unpacking: every file of the uploads has its row. False when the claim is void.

    The uploads' keys are cleared unless they are to be kept, since every file of theirs is stored by itself; the caller
    deletes the bytes.
    A job without a single photograph fails as `no_photographs`; one whose photographs were all looked at and left as
    they are does not.
    """
    job = _job_of(session, claim)
    if job is None:
        return False
    job.ingested_at = utc_now()
    job.ingest_owner, job.ingest_lease_until = "", None
    if not keep_uploads:
        session.execute(update(Upload).where(Upload.job_id == job.id).values(key=""))
    is_photograph = or_(Photo.state != PhotoState.SKIPPED, Photo.chunk.is_not(None))
    photograph = select(Photo.id).where(Photo.job_id == job.id, is_photograph).limit(1)
    if job.state == JobState.RUNNING and session.scalar(photograph) is None:
        end(session, job, JobState.FAILED, "no_photographs", f"There is no photograph in {job.name}.")
    settle(session, job)
    return True


def fail_ingest(session: Session, claim: IngestClaim, code: str, message: str) -> bool:
    """End the job as failed, before any photo of it was recorded. False when the claim is void."""
    job = _job_of(session, claim)
    if job is None:
        return False
    job.ingested_at = utc_now()
    if job.state == JobState.CANCELING:
        end(session, job, JobState.CANCELED)
    else:
        end(session, job, JobState.FAILED, code, message)
    return True


def _job_of(session: Session, claim: IngestClaim) -> Job | None:
    job = lock_job(session, claim.job_id)
    return job if job.ingest_epoch == claim.epoch and job.ingest_lease_until is not None else None
