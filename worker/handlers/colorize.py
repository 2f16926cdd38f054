"""From photos to results: one chunk of a job, several photographs at a time."""

import io
import logging
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core import jobs
from core.boundaries import Boundary
from core.colorizer import Colorizer
from core.engine import Engine, Processed, Skipped
from core.errors import Gray2HueError, NotFoundError, StorageFullError, TransientError
from core.imaging.preview import jpegs
from core.jobs import ClaimedPhoto, Hint, PhotoResult, Work
from core.queue import send_all
from core.records import Job, JobState
from worker.handlers.context import Context, heartbeat
from worker.handlers.wording import named

log = logging.getLogger(__name__)

SPOOLED_BYTES = 64 * 2**20
"""Results up to this size wait in memory for the storage, larger ones in a file."""


class ColorizerSource(Protocol):
    """Where a model version's colorizer comes from."""

    def get(self, version: str) -> Colorizer:
        """The loaded version; CheckpointError where it cannot be had."""


@dataclass(frozen=True)
class Workshop:
    """What photographs are worked on with: the engine, the models, and how many threads at once."""

    engine: Engine
    colorizers: ColorizerSource
    threads: int


@dataclass(frozen=True)
class Failure:
    """Why a photograph did not come out."""

    code: str
    message: str


def colorize_chunk(context: Context, workshop: Workshop, job_id: str, number: int) -> None:
    """Colorize what waits of the chunk whose turn it is, then send the hints of its job's next ones.

    A chunk that a message names, and of which nothing waits, is closed, should the worker before have died at it.
    """
    work = take(context, job_id, number)
    if work is not None:
        job_id, number = work.job_id, work.number
        work_on(context, workshop, work)

    def finish(session: Session) -> list[Hint]:
        return jobs.finish_chunk(session, job_id, number, context.job_limits)

    with suppress(NotFoundError):
        send_all(context.hints, context.database.patiently(finish))


def take(context: Context, job_id: str, number: int) -> Work | None:
    """Claim the chunk whose turn it is."""

    def claim(session: Session) -> Work | None:
        # A claim stands although its answer got lost; nobody else will look after what it took.
        jobs.release_held(session, context.owner)
        return jobs.claim_next(session, job_id, number, context.owner, context.job_limits)

    work = context.database.patiently(claim)
    for claimed in work.claims if work is not None else ():
        context.boundaries.reach(Boundary.CLAIMED, claimed.id)
    return work


def work_on(context: Context, workshop: Workshop, work: Work) -> None:
    """Bring the photos of a chunk to their outcomes, or let go of them unharmed."""
    hand = Hand(context, work)
    with heartbeat(context.heartbeat_s, hand.renew):
        try:
            for claim, outcome in outcomes(context, workshop, hand):
                commit(context, claim, outcome)
                hand.done(claim)
        except StorageFullError as error:
            log.warning("job %s is paused: %s", work.job_id, error.message)
            hand.pause_for_room(error)
        except (TransientError, SQLAlchemyError):
            hand.release()
            raise


class Hand:
    """The photos of a chunk that the worker still holds; looked after by two threads."""

    def __init__(self, context: Context, work: Work) -> None:
        self._context = context
        self._job_id = work.job_id
        self._held = list(work.claims)
        self._lock = threading.Lock()

    @property
    def held(self) -> list[ClaimedPhoto]:
        """The photos in hand, in the order of the upload."""
        with self._lock:
            return list(self._held)

    def done(self, claim: ClaimedPhoto) -> None:
        """Let go of a photo whose outcome is committed."""
        with self._lock:
            self._held.remove(claim)

    def renew(self) -> None:
        """Prolong the leases."""
        held = self.held
        with self._context.database.write() as session:
            jobs.renew_photos(session, held, self._context.job_limits)

    def release(self) -> None:
        """Put the rest back unharmed."""
        self._context.database.patiently(lambda session: jobs.release_photos(session, self.held))

    def pause_for_room(self, error: StorageFullError) -> None:
        """Pause the job until there is room again, and put the rest back unharmed."""

        def pause(session: Session) -> None:
            jobs.pause_for_room(session, self._job_id, error.message)
            jobs.release_photos(session, self.held)

        self._context.database.patiently(pause)

    def lay_down_if_stopping(self, begun: set[ClaimedPhoto]) -> bool:
        """Whether the job was paused or canceled; then what was not begun waits for its return, or is canceled."""
        database = self._context.database
        stopping = database.look_patiently(lambda session: jobs.is_stopping(session, self._job_id))
        if stopping:
            waiting = [claim for claim in self.held if claim not in begun]
            database.patiently(lambda session: jobs.release_photos(session, waiting))
        return stopping


Outcome = PhotoResult | Skipped | Failure


def outcomes(context: Context, workshop: Workshop, hand: Hand) -> Iterator[tuple[ClaimedPhoto, Outcome]]:
    """What became of the photos in hand, each as soon as it is known; as many at work as the workshop has threads.

    Raises:
        TransientError: the storage is away, and nothing was decided about some photo; what was begun is given first.
        StorageFullError: likewise, for want of room.
    """
    waiting = hand.held
    trouble: TransientError | None = None
    working: dict[Future[Outcome], ClaimedPhoto] = {}
    with ThreadPoolExecutor(workshop.threads, thread_name_prefix="photo") as pool:
        while waiting or working:
            if waiting and hand.lay_down_if_stopping(set(working.values())):
                waiting = []
            while waiting and len(working) < workshop.threads:
                claim = waiting.pop(0)
                working[pool.submit(colorize_photo, context, workshop, claim)] = claim
            for future in wait(working, return_when=FIRST_COMPLETED).done:
                claim = working.pop(future)
                try:
                    outcome = future.result()
                except TransientError as error:
                    waiting = []
                    trouble = trouble if isinstance(trouble, StorageFullError) else error
                    continue
                yield claim, outcome
    if trouble is not None:
        raise trouble


def commit(context: Context, claim: ClaimedPhoto, outcome: Outcome) -> None:
    """Write an outcome where the claim still stands; otherwise what was stored for it goes.

    This waits for a database that is away: what was made need not be made again.
    """

    def end(session: Session) -> bool:
        if isinstance(outcome, PhotoResult):
            return jobs.finish_photo(session, claim, outcome)
        if isinstance(outcome, Failure):
            return jobs.fail_photo(session, claim, outcome.code, named(claim.path, outcome.message))
        return jobs.skip_photo(session, claim, outcome.code, named(claim.path, outcome.reason))

    if context.database.patiently(end):
        context.boundaries.reach(Boundary.OUTCOME_COMMITTED, claim.id)
    else:
        delete_stored(context, claim)


def delete_stored(context: Context, claim: ClaimedPhoto) -> None:
    """Delete what was stored for a claim that is void.

    The previews of the original are whoever's turn it is now, unless the job has expired: then nobody looks any more
    for what is stored of it.
    """
    key = result_key_of(claim)
    keys = [key, *preview_keys(key)]
    job = context.database.look_patiently(lambda session: session.get(Job, claim.job_id))
    if job is None or job.state == JobState.EXPIRED:
        keys += preview_keys(claim.original_key)
    for stored in keys:
        context.storage.delete(stored)


def colorize_photo(context: Context, workshop: Workshop, claim: ClaimedPhoto) -> Outcome:
    """Work on one photo up to, but not including, the commit of its outcome.

    Raises:
        TransientError: the storage is away; nothing was decided.
    """
    try:
        return make_result(context, workshop, claim)
    except TransientError:
        raise
    except Exception as error:
        failure = explain(error)
        unexpected = failure.code == "internal_error"
        log.warning("photo %s of job %s failed: %s", claim.id, claim.job_id, failure.code, exc_info=unexpected)
        return failure


def make_result(context: Context, workshop: Workshop, claim: ClaimedPhoto) -> PhotoResult | Skipped:
    """Colorize a photo and store the result and its previews; durable when this returns."""
    started = time.monotonic()
    colorizer = workshop.colorizers.get(claim.model_version)
    with (
        context.storage.open(claim.original_key) as source,
        tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as spool,
    ):
        target = cast(BinaryIO, spool)
        processed = workshop.engine.process(colorizer, source, target, claim.options, claim.colorized_at, claim.id)
        if isinstance(processed, Skipped):
            return processed
        key = result_key_of(claim)
        target.seek(0)
        stored = context.storage.put(key, target)
    store_previews(context, claim.original_key, key, processed)
    return PhotoResult(
        result_key=key,
        result_size_bytes=stored.size_bytes,
        result_sha256=stored.sha256,
        result_media_type=processed.media_type,
        model_version=colorizer.version,
        runtime=colorizer.runtime.name,
        seconds=round(time.monotonic() - started, 3),
        warning=processed.warning,
        losses=processed.losses,
        lightness_error_mean=processed.lightness_error.mean,
        lightness_error_max=processed.lightness_error.largest,
        mean_chroma=processed.mean_chroma,
    )


def result_key_of(claim: ClaimedPhoto) -> str:
    """Where the result of a claim is stored; no other claim's is."""
    return f"jobs/{claim.job_id}/results/{claim.id}-{claim.epoch}"


def preview_keys(key: str) -> tuple[str, str]:
    """Where the preview and the thumbnail of an original or a result are stored."""
    return f"{key}.preview", f"{key}.thumbnail"


def store_previews(context: Context, original_key: str, result_key: str, processed: Processed) -> None:
    """Store what pages show of the original and of the result."""
    edges_px = (context.preview_sizes.preview_edge_px, context.preview_sizes.thumbnail_edge_px)
    for key, image in ((original_key, processed.original), (result_key, processed.result)):
        if image is not None:
            for preview_key, content in zip(preview_keys(key), jpegs(image, edges_px), strict=True):
                context.storage.put(preview_key, io.BytesIO(content))


def explain(error: Exception) -> Failure:
    """Code and message for a photo that did not come out."""
    if isinstance(error, NotFoundError):
        return Failure("original_missing", "Its original is gone from the storage.")
    if isinstance(error, Gray2HueError):
        return Failure(error.code, error.message)
    if isinstance(error, MemoryError):
        return Failure("out_of_memory", "There was not enough memory for a picture of this size.")
    return Failure("internal_error", "Colorizing failed unexpectedly; see the worker's log.")
