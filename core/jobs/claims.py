"""A chunk's photos in a worker's hands: claimed under a lease with an epoch, and let go with an outcome.

An outcome is written only where the photo's epoch still is the claim's, so that a worker which lost its lease and comes
back late changes nothing: execution is at least once, the committed effect exactly once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from core.errors import NotFoundError
from core.jobs.lifecycle import Hint, JobLimits, dispatch, lock_job, settle
from core.jobs.states import OPEN_PHOTO_STATES, move_photos
from core.options import JobOptions
from core.records import Chunk, Job, JobState, Photo, PhotoState, User, utc_now

ROUNDS = 4
"""How often the fairest job may turn out to have nothing left before a worker gives up looking."""


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


@dataclass(frozen=True)
class Work:
    """A chunk that a worker took, and the photos of it that wait no more."""

    job_id: str
    number: int
    claims: tuple[ClaimedPhoto, ...]


def claim_next(session: Session, job_id: str, number: int, owner: str, limits: JobLimits) -> Work | None:
    """Take the chunk whose turn it is; None when nothing waits. The hint's own chunk is but one of those that wait.

    A higher priority comes first; then the owner who was served the longest ago, and of one owner's jobs a single
    picture, then the job that was served the longest ago. So a message is a turn, whoever's it is: as many are in the
    queue as chunks are, and a small job waits for a chunk or two of a large one.
    """
    for _ in range(ROUNDS):
        fairest = session.scalar(_FAIREST)
        if fairest is None:
            break
        # Locked before the look for a chunk, so that who waited for the lock does not find what another one took.
        lock_job(session, fairest)
        found = session.scalar(_waiting_chunk(fairest))
        claims = claim_chunk(session, fairest, found, owner, limits) if found is not None else []
        if claims and found is not None:
            return Work(fairest, found, tuple(claims))
    claims = claim_chunk(session, job_id, number, owner, limits)
    return Work(job_id, number, tuple(claims)) if claims else None


def claim_chunk(session: Session, job_id: str, number: int, owner: str, limits: JobLimits) -> list[ClaimedPhoto]:
    """Take every waiting photo of the chunk; none when it is done, in other hands, or the job does not run."""
    try:
        job = lock_job(session, job_id)
    except NotFoundError:
        return []
    if job.state != JobState.RUNNING:
        return []
    waiting = select(Photo.id).where(Photo.job_id == job_id, Photo.chunk == number, Photo.state == PhotoState.PENDING)
    ids = session.scalars(waiting.with_for_update(skip_locked=True)).all()
    if not ids:
        return []
    now = utc_now()
    taken = {"lease_owner": owner, "lease_until": now + limits.lease, "epoch": Photo.epoch + 1}
    alone = len(ids) == 1
    move_photos(
        session,
        Photo.id.in_(ids),
        PhotoState.PENDING,
        PhotoState.RUNNING,
        actor=owner,
        claimed_alone=alone,
        **taken,
    )
    job.last_served_at = now
    session.execute(update(User).where(User.id == job.owner_id).values(last_served_at=now))
    claimed = select(Photo).where(Photo.id.in_(ids)).order_by(Photo.position)
    photos = session.scalars(claimed.execution_options(populate_existing=True)).all()
    return [_claim(job, photo) for photo in photos]


_PENDING_CHUNK = (
    select(Chunk.number)
    .where(
        Chunk.job_id == Job.id,
        Chunk.finished_at.is_(None),
        Chunk.sent_at.is_not(None),
        select(Photo.id)
        .where(Photo.job_id == Chunk.job_id, Photo.chunk == Chunk.number, Photo.state == PhotoState.PENDING)
        .exists(),
    )
    .correlate(Job)
)
_FAIREST = (
    select(Job.id)
    .join(User, User.id == Job.owner_id)
    .where(Job.state == JobState.RUNNING, _PENDING_CHUNK.exists())
    .order_by(
        Job.priority.desc(),
        User.last_served_at.asc().nulls_first(),
        Job.express.desc(),
        Job.last_served_at.asc().nulls_first(),
        Job.created_at,
        Job.id,
    )
    .limit(1)
)


def _waiting_chunk(job_id: str) -> Select[Any]:
    return _PENDING_CHUNK.correlate(None).where(Chunk.job_id == job_id).order_by(Chunk.number).limit(1)


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
        held = update(Photo).where(_are_held(claims), Photo.state == PhotoState.RUNNING)
        session.execute(held.values(lease_until=utc_now() + limits.lease))


def finish_photo(session: Session, claim: ClaimedPhoto, result: PhotoResult) -> bool:
    """Commit a result. False when the claim is void: then the caller's result is not the photo's and has to go.

    Void is a claim that was taken back, and every claim once the job has expired: nothing is stored of that any more.
    """
    return _end(session, claim, PhotoState.DONE, code="", message="", **vars(result))


def fail_photo(session: Session, claim: ClaimedPhoto, code: str, message: str) -> bool:
    """Commit a failure. False when the claim is void."""
    return _end(session, claim, PhotoState.FAILED, code=code, message=message)


def skip_photo(session: Session, claim: ClaimedPhoto, code: str, message: str) -> bool:
    """Commit that the photo is left as it is, e.g. since it is in color already. False when the claim is void."""
    return _end(session, claim, PhotoState.SKIPPED, code=code, message=message)


def release_photos(session: Session, claims: Sequence[ClaimedPhoto]) -> None:
    """Let go of photos unharmed: since the job is paused or canceled, or the storage is away.

    They wait again, and the sweeper sends their chunk again; those of a canceled job are canceled.
    """
    for job_id in sorted({claim.job_id for claim in claims}):
        to = _state_let_go(lock_job(session, job_id))
        mine = [claim for claim in claims if claim.job_id == job_id]
        move_photos(session, _are_held(mine), PhotoState.RUNNING, to)


def release_held(session: Session, owner: str) -> None:
    """Let go of all that an owner still has in hand, e.g. by a claim whose answer it never got."""
    mine = Photo.lease_owner == owner
    held = select(Photo.job_id).where(mine, Photo.state == PhotoState.RUNNING).distinct()
    for job_id in sorted(session.scalars(held).all()):
        to = _state_let_go(lock_job(session, job_id))
        move_photos(session, mine & (Photo.job_id == job_id), PhotoState.RUNNING, to, actor=owner)


def finish_chunk(session: Session, job_id: str, number: int, limits: JobLimits) -> list[Hint]:
    """Close the chunk if none of its photos is left, give the hints of the job's next ones, and settle the job."""
    job = lock_job(session, job_id)
    left = session.scalar(
        select(Photo.id)
        .where(Photo.job_id == job_id, Photo.chunk == number, Photo.state.in_(OPEN_PHOTO_STATES))
        .limit(1)
    )
    chunk = session.get(Chunk, (job_id, number))
    if chunk is None:
        return []
    if left is None:
        chunk.finished_at = chunk.finished_at or utc_now()
        session.flush()
    settle(session, job)
    return dispatch(session, job, limits)


def _state_let_go(job: Job) -> PhotoState:
    return PhotoState.CANCELED if job.state == JobState.CANCELING else PhotoState.PENDING


def _are_held(claims: Sequence[ClaimedPhoto]) -> ColumnElement[bool]:
    return or_(*(and_(Photo.id == claim.id, Photo.epoch == claim.epoch) for claim in claims))


def _end(session: Session, claim: ClaimedPhoto, state: PhotoState, **values: Any) -> bool:
    mine = _are_held([claim])
    has_expired = exists().where(Job.id == claim.job_id, Job.state == JobState.EXPIRED)
    if move_photos(session, mine & ~has_expired, PhotoState.RUNNING, state, **values):
        return True
    move_photos(session, mine & has_expired, PhotoState.RUNNING, PhotoState.CANCELED)
    # A commit may have happened although its answer got lost; then this very outcome is the photo's already.
    photo = session.get(Photo, claim.id, populate_existing=True)
    if photo is None or photo.epoch != claim.epoch or photo.state != state:
        return False
    return bool(photo.result_key == values.get("result_key", photo.result_key))
