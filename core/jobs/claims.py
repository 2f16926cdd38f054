"""A chunk's photos in a worker's hands: claimed under a lease with an epoch, and let go with an outcome.

An outcome is written only where the photo's epoch still is the claim's, so that a worker which lost its lease and comes
back late changes nothing: execution is at least once, the committed effect exactly once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Update, and_, or_, select, update
from sqlalchemy.orm import Session

from core.jobs.lifecycle import OPEN_PHOTO_STATES, Hint, JobLimits, dispatch, lock_job, settle
from core.options import JobOptions
from core.records import Chunk, Job, JobState, Photo, PhotoState, utc_now


@dataclass(frozen=True)
class ClaimedPhoto:
    """One photo in hand.

    `colorized_at` is what its result will say about when it was made: when the job was started, so that a photo that is
    worked on again gets the same bytes.
    """

    id: str
    job_id: str
    epoch: int
    path: str
    original_key: str
    model_version: str
    options: JobOptions
    colorized_at: datetime


@dataclass(frozen=True)
class PhotoResult:
    """What came out of a photo; already durable in the storage.

    Args:
        result_media_type: of the result's format, which need not be the original's.
        runtime: the name of what computed the network.
        seconds: the time the worker spent on it.
        warning: a code, or "".
        losses: what the result lacks of the original, in words.
        lightness_error_mean: mean |dL| between the original and the result, in 0..100.
        lightness_error_max: the largest.
        mean_chroma: of what the network predicted.
    """

    result_key: str
    result_size_bytes: int
    result_sha256: str
    result_media_type: str
    model_version: str
    runtime: str
    seconds: float
    warning: str
    losses: tuple[str, ...]
    lightness_error_mean: float
    lightness_error_max: float
    mean_chroma: float


def claim_chunk(session: Session, job_id: str, number: int, owner: str, limits: JobLimits) -> list[ClaimedPhoto]:
    """Take every waiting photo of the chunk; none when it is done, in other hands, or the job is stopping."""
    job = lock_job(session, job_id)
    if job.state != JobState.RUNNING:
        return []
    waiting = select(Photo).where(Photo.job_id == job_id, Photo.chunk == number, Photo.state == PhotoState.PENDING)
    photos = session.scalars(waiting.order_by(Photo.position).with_for_update(skip_locked=True)).all()
    until = utc_now() + limits.lease
    for photo in photos:
        photo.state, photo.lease_owner, photo.lease_until = PhotoState.RUNNING, owner, until
        photo.epoch += 1
    return [_claim(job, photo) for photo in photos]


def _claim(job: Job, photo: Photo) -> ClaimedPhoto:
    return ClaimedPhoto(
        id=photo.id,
        job_id=job.id,
        epoch=photo.epoch,
        path=photo.path,
        original_key=photo.original_key,
        model_version=job.model_version,
        options=job.options,
        colorized_at=job.started_at or job.created_at,
    )


def renew_photos(session: Session, claims: Sequence[ClaimedPhoto], limits: JobLimits) -> None:
    """Prolong the leases of the photos still in hand."""
    if claims:
        session.execute(_held(claims).values(lease_until=utc_now() + limits.lease))


def finish_photo(session: Session, claim: ClaimedPhoto, result: PhotoResult) -> bool:
    """Commit a result. False when the claim is void: then the caller's result is not the photo's and has to go."""
    return _end(session, claim, state=PhotoState.DONE, code="", message="", **vars(result))


def fail_photo(session: Session, claim: ClaimedPhoto, code: str, message: str) -> bool:
    """Commit a failure. False when the claim is void."""
    return _end(session, claim, state=PhotoState.FAILED, code=code, message=message)


def skip_photo(session: Session, claim: ClaimedPhoto, code: str, message: str) -> bool:
    """Commit that the photo is left as it is, e.g. since it is in color already. False when the claim is void."""
    return _end(session, claim, state=PhotoState.SKIPPED, code=code, message=message)


def release_photos(session: Session, claims: Sequence[ClaimedPhoto]) -> None:
    """Put photos back unharmed, e.g. when the storage is away; the sweeper sends their chunk again."""
    if claims:
        session.execute(_held(claims).values(state=PhotoState.PENDING, lease_owner="", lease_until=None))


def abandon_photos(session: Session, claims: Sequence[ClaimedPhoto]) -> None:
    """Mark photos of a canceled job that were in hand, but not begun."""
    if claims:
        values: dict[str, Any] = {"state": PhotoState.CANCELED, "finished_at": utc_now()}
        session.execute(_held(claims).values(lease_owner="", lease_until=None, **values))


def finish_chunk(session: Session, job_id: str, number: int, limits: JobLimits) -> list[Hint]:
    """Close the chunk if none of its photos is left, give the hints of the job's next ones, and settle the job."""
    job = lock_job(session, job_id)
    left = session.scalar(
        select(Photo.id)
        .where(Photo.job_id == job_id, Photo.chunk == number, Photo.state.in_(OPEN_PHOTO_STATES))
        .limit(1)
    )
    chunk = session.get(Chunk, (job_id, number))
    if chunk is None or left is not None:
        return []
    chunk.finished_at = chunk.finished_at or utc_now()
    session.flush()
    settle(session, job)
    return dispatch(session, job, limits)


def _held(claims: Sequence[ClaimedPhoto]) -> Update:
    held = [and_(Photo.id == claim.id, Photo.epoch == claim.epoch) for claim in claims]
    return update(Photo).where(or_(*held), Photo.state == PhotoState.RUNNING)


def _end(session: Session, claim: ClaimedPhoto, **values: Any) -> bool:
    ended = _held([claim]).values(lease_owner="", lease_until=None, finished_at=utc_now(), **values)
    return session.scalar(ended.returning(Photo.id)) is not None
