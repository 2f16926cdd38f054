"""What the database tells of a job's pace, for the time that is left.

A page asks for it each second, so that it costs a few milliseconds however many photos there are: counts come out of
indexes alone, and sizes and times are those of the photos of some chunks, picked by chance over the whole job.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Float, cast, func, literal, select
from sqlalchemy.orm import Session

from core.jobs.eta import Measured, Sample, Speed
from core.jobs.states import OPEN_PHOTO_STATES
from core.records import Chunk, Job, JobEvent, JobState, Photo, PhotoState

SAMPLED_CHUNKS = 64
"""Of those that are open, and as many of all; some thousand photos."""
FIRST_CHUNK_PHOTOS = 16
"""The first photo was begun at most as long before its end as so many photos take; until then a model was loaded."""
RECENT_S, RECENT_SHARE = 60.0, 0.2
"""The recent past: at least so long, and at least this share of the time that the job was worked on."""
WORKED_ON = (PhotoState.DONE, PhotoState.FAILED, PhotoState.SKIPPED)

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class _Samples:
    """Of photos that were finished before the recent past, of those that were finished in it, and of those left."""

    earlier: Sample
    recent: Sample
    left: Sample


def measure_pace(session: Session, job: Job, *, total: int, left: int, in_hand: int, now: datetime) -> Measured | None:
    """What core.jobs.eta needs of a running job that is unpacked; None before its first photo is done.

    Args:
        session: for reading.
        job: the job.
        total: how many files it has.
        left: how many of these are pending or running.
        in_hand: how many of these are running.
        now: the end of what is measured.
    """
    first_done_at = session.scalar(
        select(func.min(Photo.finished_at)).where(Photo.job_id == job.id, Photo.state == PhotoState.DONE)
    )
    if first_done_at is None or job.ingested_at is None:
        return None
    spans = _worked(session, job, now)
    recent_s = max(RECENT_S, RECENT_SHARE * _length_s(spans))
    since = _since(spans, recent_s)
    samples = _sample(session, job.id, since or now)
    finished = samples.earlier + samples.recent
    begun = first_done_at - timedelta(seconds=FIRST_CHUNK_PHOTOS * finished.mean_seconds)
    whole_s = _length_s([(max(start, begun), end) for start, end in spans if end > begun])
    never_in_chunks = select(func.count()).select_from(Photo).where(Photo.job_id == job.id, Photo.chunk.is_(None))
    count = max(total - left - (session.scalar(never_in_chunks) or 0), 0)
    recent = None
    if since is not None and since > max(begun, job.ingested_at) and samples.recent.photos:
        recent = Speed(_finished_since(session, job.id, since), recent_s, samples.recent.mean_megapixels)
    return Measured(
        whole=Speed(count, whole_s, finished.mean_megapixels),
        recent=recent,
        finished=finished,
        left=left,
        left_sample=samples.left,
        in_hand=in_hand,
        hands=_hands(session, job.id),
    )


def _worked(session: Session, job: Job, now: datetime) -> list[Span]:
    """The times in which the job ran, from its log; pauses and the time before a retry are none."""
    began = job.started_at or now
    log = select(JobEvent.at, JobEvent.to_state).where(JobEvent.job_id == job.id, JobEvent.photo_id.is_(None))
    spans: list[Span] = []
    running_since: datetime | None = began
    for at, to_state in session.execute(log.order_by(JobEvent.id)):
        if at <= began:
            continue
        if to_state == JobState.RUNNING:
            running_since = running_since or at
        elif running_since is not None:
            spans.append((running_since, at))
            running_since = None
    return spans if running_since is None else [*spans, (running_since, now)]


def _length_s(spans: Sequence[Span]) -> float:
    return sum((end - start).total_seconds() for start, end in spans)


def _since(spans: Sequence[Span], seconds: float) -> datetime | None:
    """When the last so many seconds of work began; None where there were not so many."""
    for start, end in reversed(spans):
        length_s = (end - start).total_seconds()
        if length_s >= seconds:
            return end - timedelta(seconds=seconds)
        seconds -= length_s
    return None


def _sample(session: Session, job_id: str, since: datetime) -> _Samples:
    open_chunks = session.scalars(
        select(Chunk.number).where(Chunk.job_id == job_id, Chunk.finished_at.is_(None)).order_by(Chunk.number)
    ).all()
    last = session.scalar(select(func.max(Chunk.number)).where(Chunk.job_id == job_id))
    numbers = {*_some(open_chunks, job_id), *_some(range((last or 0) + 1), job_id)}
    size = cast(func.coalesce(Photo.width, 0), Float) * func.coalesce(Photo.height, 0) / 1e6
    seconds = func.coalesce(Photo.seconds, 0.0)
    is_left = Photo.state.in_(OPEN_PHOTO_STATES).label("is_left")
    is_recent = func.coalesce(Photo.finished_at > since, literal(False)).label("is_recent")
    sums = (size, size * size, seconds, seconds * seconds, size * seconds)
    columns: list[ColumnElement[Any]] = [is_left, is_recent, func.count(), *map(func.sum, sums)]
    rows = session.execute(
        select(*columns)
        .where(Photo.job_id == job_id, Photo.chunk.in_(numbers), Photo.state != PhotoState.CANCELED)
        .group_by("is_left", "is_recent")
    )
    found = {(bool(left), bool(recent)): Sample(*values) for left, recent, *values in rows}
    return _Samples(
        found.get((False, False), Sample()), found.get((False, True), Sample()), found.get((True, False), Sample())
    )


def _some(numbers: Sequence[int], seed: str) -> list[int]:
    """One by chance out of each of equal parts; the same ones each time, so that the time left does not flicker."""
    if len(numbers) <= SAMPLED_CHUNKS:
        return list(numbers)
    chance = random.Random(seed)  # noqa: S311 - a sample
    return [numbers[int((part + chance.random()) * len(numbers) / SAMPLED_CHUNKS)] for part in range(SAMPLED_CHUNKS)]


def _finished_since(session: Session, job_id: str, since: datetime) -> int:
    """How many photos got an outcome; after the unpacking all of them were worked on, which no index tells."""
    finished = select(func.count()).select_from(Photo)
    found = session.scalar(
        finished.where(Photo.job_id == job_id, Photo.state.in_(WORKED_ON), Photo.finished_at > since)
    )
    return found or 0


def _hands(session: Session, job_id: str) -> int:
    holding = select(func.count(Photo.lease_owner.distinct())).where(
        Photo.job_id == job_id, Photo.state == PhotoState.RUNNING
    )
    return session.scalar(holding) or 0
