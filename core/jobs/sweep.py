"""The sweeper: rebuilds from the database what the broker or a dead worker lost."""

from collections import defaultdict
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.jobs.ingest import next_chunk_number
from core.jobs.lifecycle import Hint, JobLimits, dispatch, end, lock_job, settle
from core.records import Chunk, Job, JobState, Photo, PhotoState, utc_now


def sweep(session: Session, limits: JobLimits) -> list[Hint]:
    """Take back what dead workers held, close what is done, and give every hint that may be lost.

    Safe to run at any time and twice at once: each job is locked while it is looked at.
    """
    now = utc_now()
    open_states = (JobState.QUEUED, JobState.RUNNING, JobState.CANCELING)
    hints: list[Hint] = []
    for job_id in session.scalars(select(Job.id).where(Job.state.in_(open_states)).order_by(Job.created_at)).all():
        job = lock_job(session, job_id)
        if job.state not in open_states:
            continue
        hints += _revive_ingest(job, now, limits)
        _take_back_photos(session, job, now, limits)
        settle(session, job)
        hints += _revive_chunks(session, job, now, limits)
        hints += dispatch(session, job, limits)
    return hints


def take_up(session: Session) -> None:
    """Put back unharmed, at once, all that an earlier run had in hand or in the queue.

    Only for the start of a stack whose workers and broker are its own: none of the earlier run's can be alive.
    """
    nobody = {"lease_owner": "", "lease_until": None}
    running = update(Photo).where(Photo.state == PhotoState.RUNNING)
    canceling = select(Job.id).where(Job.state == JobState.CANCELING)
    of_canceled = running.where(Photo.job_id.in_(canceling))
    session.execute(of_canceled.values(state=PhotoState.CANCELED, finished_at=utc_now(), **nobody))
    session.execute(running.values(state=PhotoState.PENDING, **nobody))
    session.execute(update(Chunk).where(Chunk.finished_at.is_(None)).values(sent_at=None))
    left = update(Job).where(Job.ingested_at.is_(None))
    session.execute(left.values(ingest_owner="", ingest_lease_until=None, ingest_sent_at=None))


def _revive_ingest(job: Job, now: datetime, limits: JobLimits) -> list[Hint]:
    if job.ingested_at is not None or job.state == JobState.CANCELING:
        return []
    if job.ingest_lease_until is not None:
        if job.ingest_lease_until > now:
            return []
        job.ingest_deaths += 1
        job.ingest_owner, job.ingest_lease_until = "", None
        if job.ingest_deaths >= limits.max_deaths:
            job.ingested_at = now
            end(job, JobState.FAILED, "worker_died", f"Unpacking {job.name} ended {job.ingest_deaths} workers.")
            return []
    elif job.ingest_sent_at is not None and job.ingest_sent_at > now - timedelta(seconds=limits.resend_after_s):
        return []
    job.ingest_sent_at = now
    return [Hint(job.id, None, job.express)]


def _take_back_photos(session: Session, job: Job, now: datetime, limits: JobLimits) -> None:
    """Return photos whose lease ran out.

    Of a chunk that was in hand together each half gets a chunk of its own, so that one deadly photo is soon alone; only
    a photo that was alone is blamed for its worker's death.
    """
    expired = session.scalars(
        select(Photo)
        .where(Photo.job_id == job.id, Photo.state == PhotoState.RUNNING, Photo.lease_until < now)
        .order_by(Photo.position)
    ).all()
    by_chunk: dict[int | None, list[Photo]] = defaultdict(list)
    for photo in expired:
        by_chunk[photo.chunk].append(photo)
        photo.state = PhotoState.CANCELED if job.state == JobState.CANCELING else PhotoState.PENDING
        photo.finished_at = now if job.state == JobState.CANCELING else None
        photo.lease_owner, photo.lease_until = "", None
    if job.state == JobState.RUNNING:
        for number, photos in by_chunk.items():
            _resend_in_halves(session, job, number, photos, limits)


def _resend_in_halves(session: Session, job: Job, number: int | None, photos: list[Photo], limits: JobLimits) -> None:
    chunk = session.get(Chunk, (job.id, number))
    if chunk is not None:
        chunk.sent_at = None
    if len(photos) > 1:
        second = next_chunk_number(session, job.id)
        session.add(Chunk(job_id=job.id, number=second))
        session.flush()
        for photo in photos[len(photos) // 2 :]:
            photo.chunk = second
        return
    (photo,) = photos
    photo.deaths += 1
    if photo.deaths >= limits.max_deaths:
        photo.state, photo.finished_at = PhotoState.FAILED, utc_now()
        photo.code = "worker_died"
        photo.message = f"{photo.path}: the worker died {photo.deaths} times with this photograph alone in hand."


def _revive_chunks(session: Session, job: Job, now: datetime, limits: JobLimits) -> list[Hint]:
    """Hints for chunks whose message may be lost: sent a while ago, not finished, and in nobody's hands."""
    if job.state != JobState.RUNNING:
        return []
    in_hand = select(Photo.chunk).where(Photo.job_id == job.id, Photo.state == PhotoState.RUNNING)
    waiting = select(Photo.chunk).where(Photo.job_id == job.id, Photo.state == PhotoState.PENDING)
    lost = select(Chunk).where(
        Chunk.job_id == job.id,
        Chunk.finished_at.is_(None),
        Chunk.sent_at < now - timedelta(seconds=limits.resend_after_s),
    )
    held = set(session.scalars(in_hand.distinct()))
    needed = set(session.scalars(waiting.distinct()))
    hints = []
    for chunk in session.scalars(lost.order_by(Chunk.number)).all():
        if chunk.number in needed and chunk.number not in held:
            chunk.sent_at = now
            hints.append(Hint(job.id, chunk.number, job.express))
        elif chunk.number not in needed and chunk.number not in held:
            chunk.finished_at = now
    session.flush()
    return hints
