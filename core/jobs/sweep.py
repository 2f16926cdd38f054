"""The sweeper: rebuilds from the database what the broker or a dead worker lost."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from core.jobs.ingest import next_chunk_number, photos_added
from core.jobs.lifecycle import Hint, JobLimits, dispatch, end, give_up_receiving, is_unpacking, lock_job, settle
from core.jobs.states import OPEN_PHOTO_STATES, SWEEPER, move_photos
from core.records import Chunk, Job, JobState, Photo, PhotoState, User, utc_now

JOBS_PER_ROUND = 200
"""So many jobs are put right in one round at most; the others are looked at in the next."""

RESENT_PER_ROUND = 64
"""So many chunks are sent once more in one round at most: enough for all workers, and no flood after a long queue."""

PATIENCE_WHILE_SERVED = 4
"""While others are taken, a hint that waits is most likely behind them, not lost: it is sent again so much later."""

QUICKER = 6
"""With an empty queue, hints are sent again after this part of the time."""


@dataclass(frozen=True)
class Swept:
    """What a round found: hints to send; jobs whose uploads never came in whole, and whose bytes are to be deleted."""

    hints: list[Hint] = field(default_factory=list)
    given_up_job_ids: list[str] = field(default_factory=list)


def sweep(session: Session, limits: JobLimits, *, queue_is_empty: bool = False) -> Swept:
    """Take back what dead workers held, close what is done, and give every hint that may be lost.

    Safe to run at any time and twice at once: each job is locked while it is looked at.

    Args:
        session: a writing transaction.
        limits: when something counts as lost.
        queue_is_empty: whether the broker was just seen to have no message of a chunk, so that those of chunks which
            still wait are lost, unless they are on their way.
    """
    now = utc_now()
    lost_before = now - limits.resend_after / QUICKER if queue_is_empty else _lost_before(session, now, limits)
    ingest_lost_before = _ingest_lost_before(session, now, limits)
    hints: list[Hint] = []
    for job_id in session.scalars(_amiss(now, lost_before, ingest_lost_before)).all():
        job = lock_job(session, job_id)
        if job.state not in _OPEN_STATES:
            continue
        hints += _revive_ingest(session, job, now, ingest_lost_before, limits)
        _take_back_photos(session, job, now, limits)
        _close_chunks(session, job)
        settle(session, job)
        hints += _revive_chunks(session, job, now, lost_before, RESENT_PER_ROUND - len(hints))
        hints += dispatch(session, job, limits)
    return Swept(hints, give_up_receiving(session, now))


def take_up(session: Session) -> None:
    """Put back unharmed, at once, all that an earlier run had in hand or in the queue.

    Only for the start of a stack whose workers and broker are its own: none of the earlier run's can be alive.
    """
    canceling = Photo.job_id.in_(select(Job.id).where(Job.state == JobState.CANCELING))
    move_photos(session, canceling, PhotoState.RUNNING, PhotoState.CANCELED, actor=SWEEPER)
    move_photos(session, ~canceling, PhotoState.RUNNING, PhotoState.PENDING, actor=SWEEPER)
    session.execute(update(Chunk).where(Chunk.finished_at.is_(None)).values(sent_at=None))
    left = update(Job).where(Job.ingested_at.is_(None))
    session.execute(left.values(ingest_owner="", ingest_lease_until=None, ingest_sent_at=None))


def free_leases(session: Session, owner_prefix: str, alive: Collection[str] = ()) -> int:
    """End the leases of owners that are known to be dead, so that the next round takes back what they held.

    Args:
        owner_prefix: what the dead ones' names begin with.
        alive: names that do so too, and whose leases stand.

    Returns:
        How many leases were ended.
    """
    now = utc_now()
    dead_photos = Photo.lease_owner.startswith(owner_prefix, autoescape=True) & Photo.lease_owner.not_in(alive)
    photos = update(Photo).where(dead_photos, Photo.state == PhotoState.RUNNING).values(lease_until=now)
    dead_jobs = Job.ingest_owner.startswith(owner_prefix, autoescape=True) & Job.ingest_owner.not_in(alive)
    jobs = update(Job).where(dead_jobs, Job.ingest_lease_until > now).values(ingest_lease_until=now)
    return sum(len(session.scalars(freed).all()) for freed in (photos.returning(Photo.id), jobs.returning(Job.id)))


_HAS_OPEN_PHOTOS = (
    select(Photo.id)
    .where(Photo.job_id == Chunk.job_id, Photo.chunk == Chunk.number, Photo.state.in_(OPEN_PHOTO_STATES))
    .correlate(Chunk)
    .exists()
)
_OPEN_STATES = (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED, JobState.CANCELING)


def _lost_before(session: Session, now: datetime, limits: JobLimits) -> datetime:
    """A chunk that was sent before this, and is in nobody's hands, is sent again."""
    served_at = session.scalar(select(func.max(User.last_served_at)))
    return _patient(now, limits, is_served=served_at is not None and served_at > now - limits.resend_after)


def _ingest_lost_before(session: Session, now: datetime, limits: JobLimits) -> datetime:
    """A job whose unpacking was sent before this, and is in nobody's hands, is sent again."""
    served = session.scalar(select(Job.id).where(Job.ingest_lease_until > now).limit(1))
    return _patient(now, limits, is_served=served is not None)


def _patient(now: datetime, limits: JobLimits, *, is_served: bool) -> datetime:
    return now - limits.resend_after * (PATIENCE_WHILE_SERVED if is_served else 1)


def _amiss(now: datetime, lost_before: datetime, ingest_lost_before: datetime) -> Select[Any]:
    """The open jobs that something may have to be done about, the oldest first."""
    unfinished = and_(Chunk.job_id == Job.id, Chunk.finished_at.is_(None))
    running = Job.state == JobState.RUNNING
    reasons: list[ColumnElement[bool]] = [
        Job.state == JobState.CANCELING,
        and_(
            Job.ingested_at.is_(None),
            Job.state.in_((JobState.QUEUED, JobState.RUNNING)),
            _ingest_rests(now, ingest_lost_before),
        ),
        exists().where(Photo.job_id == Job.id, Photo.state == PhotoState.RUNNING, Photo.lease_until <= now),
        and_(running, exists().where(unfinished, Chunk.sent_at < lost_before)),
        and_(running, exists().where(unfinished, ~_HAS_OPEN_PHOTOS)),
        and_(running, exists().where(unfinished), ~exists().where(unfinished, Chunk.sent_at.is_not(None))),
        and_(running, Job.ingested_at.is_not(None), ~exists().where(unfinished)),
    ]
    found = select(Job.id).where(Job.state.in_(_OPEN_STATES), or_(*reasons))
    return found.order_by(Job.created_at).limit(JOBS_PER_ROUND)


def _ingest_rests(now: datetime, lost_before: datetime) -> ColumnElement[bool]:
    unsent = or_(Job.ingest_sent_at.is_(None), Job.ingest_sent_at <= lost_before)
    return or_(Job.ingest_lease_until <= now, and_(Job.ingest_lease_until.is_(None), unsent))


def _revive_ingest(session: Session, job: Job, now: datetime, lost_before: datetime, limits: JobLimits) -> list[Hint]:
    if job.ingested_at is not None or job.state not in (JobState.QUEUED, JobState.RUNNING) or is_unpacking(job):
        return []
    if job.ingest_lease_until is not None:
        job.ingest_deaths += 1
        job.ingest_owner, job.ingest_lease_until = "", None
        if job.ingest_deaths >= limits.max_deaths:
            _give_up_unpacking(session, job, now)
            return []
    elif job.ingest_sent_at is not None and job.ingest_sent_at > lost_before:
        return []
    job.ingest_sent_at = now
    return [Hint(job.id, None, job.express)]


def _give_up_unpacking(session: Session, job: Job, now: datetime) -> None:
    """What was found in the uploads is done all the same, and a row that failed tells of the rest."""
    reason = {"code": "worker_died", "message": f"Unpacking {job.name} ended {job.ingest_deaths} workers."}
    job.ingested_at = now
    position = photos_added(session, job.id)
    if position == 0:
        end(session, job, JobState.FAILED, **reason)
        return
    row = {"job_id": job.id, "position": position, "path": job.name, "finished_at": now}
    session.add(Photo(state=PhotoState.FAILED, **row, **reason))


def _take_back_photos(session: Session, job: Job, now: datetime, limits: JobLimits) -> None:
    """Return photos whose lease ran out.

    What was in hand together comes back in halves, each a chunk of its own. So a photo that kills its worker is soon
    claimed alone; only then does the death count against it, and so many of them condemn it.
    """
    over = select(Photo).where(Photo.job_id == job.id, Photo.state == PhotoState.RUNNING, Photo.lease_until <= now)
    by_chunk: dict[int | None, list[Photo]] = defaultdict(list)
    for photo in session.scalars(over.order_by(Photo.position).execution_options(populate_existing=True)).all():
        by_chunk[photo.chunk].append(photo)
    for number, photos in by_chunk.items():
        if job.state == JobState.CANCELING:
            move_photos(session, _these(photos), PhotoState.RUNNING, PhotoState.CANCELED, actor=SWEEPER)
        elif len(photos) == 1 and photos[0].claimed_alone:
            _count_death(session, photos[0], limits)
        else:
            move_photos(session, _these(photos), PhotoState.RUNNING, PhotoState.PENDING, actor=SWEEPER)
            _split(session, job, photos)
        session.execute(update(Chunk).where(Chunk.job_id == job.id, Chunk.number == number).values(sent_at=None))


def _count_death(session: Session, photo: Photo, limits: JobLimits) -> None:
    deaths = photo.deaths + 1
    mine = _these([photo])
    if deaths < limits.max_deaths:
        move_photos(session, mine, PhotoState.RUNNING, PhotoState.PENDING, actor=SWEEPER, deaths=deaths)
        return
    why = f"{photo.path}: the worker died {deaths} times with this photograph alone in hand."
    reason = {"deaths": deaths, "code": "worker_died", "message": why}
    move_photos(session, mine, PhotoState.RUNNING, PhotoState.FAILED, actor=SWEEPER, **reason)


def _split(session: Session, job: Job, photos: Sequence[Photo]) -> None:
    """Give the second half of the photos a chunk of their own, or the only one, if its chunk holds others still."""
    half = photos[len(photos) // 2 :]
    number = next_chunk_number(session, job.id)
    session.add(Chunk(job_id=job.id, number=number))
    session.flush()
    session.execute(update(Photo).where(_these(half)).values(chunk=number))


def _these(photos: Sequence[Photo]) -> ColumnElement[bool]:
    # The epoch too: between the look and the change an outcome may come, or another claim.
    return or_(*(and_(Photo.id == photo.id, Photo.epoch == photo.epoch) for photo in photos))


def _close_chunks(session: Session, job: Job) -> None:
    """Close the chunks of which nothing is left, as their workers do unless they die just before."""
    empty = update(Chunk).where(Chunk.job_id == job.id, Chunk.finished_at.is_(None), ~_HAS_OPEN_PHOTOS)
    session.execute(empty.values(finished_at=utc_now()).execution_options(synchronize_session=False))


def _revive_chunks(session: Session, job: Job, now: datetime, lost_before: datetime, most: int) -> list[Hint]:
    """Hints for chunks whose message may be lost: sent a while ago, not finished, and in nobody's hands."""
    if job.state != JobState.RUNNING or most <= 0:
        return []
    in_hand = select(Photo.id).where(
        Photo.job_id == Chunk.job_id, Photo.chunk == Chunk.number, Photo.state == PhotoState.RUNNING
    )
    lost = select(Chunk.number).where(
        Chunk.job_id == job.id, Chunk.finished_at.is_(None), Chunk.sent_at < lost_before, ~in_hand.exists()
    )
    numbers = session.scalars(lost.order_by(Chunk.number).limit(most)).all()
    again = update(Chunk).where(Chunk.job_id == job.id, Chunk.number.in_(numbers)).values(sent_at=now)
    session.execute(again.execution_options(synchronize_session=False))
    return [Hint(job.id, number, job.express) for number in numbers]
