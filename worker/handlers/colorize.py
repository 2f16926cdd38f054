"""From photos to results: one chunk of a job, one photograph after the other."""

import io
import logging
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy.exc import OperationalError

from core import jobs
from core.errors import CheckpointError, Gray2HueError, NotFoundError, TransientError
from core.imaging import codec
from core.imaging.preview import preview_jpeg
from core.imaging.scan import Samples, Scan
from core.jobs import ClaimedPhoto, PhotoResult
from core.queue import send_all
from worker.handlers.context import Context, heartbeat
from worker.handlers.wording import named

if TYPE_CHECKING:
    from core.colorizer import Colorizer

log = logging.getLogger(__name__)


def colorize_chunk(context: Context, colorizer: "Colorizer", job_id: str, number: int) -> None:
    """Colorize what waits of a chunk, then send the hints of the job's next ones."""
    with context.database.write() as session:
        claims = jobs.claim_chunk(session, job_id, number, context.owner, context.job_limits)
    hand = Hand(context, claims)
    with heartbeat(context.heartbeat_s, hand.renew):
        for claim in claims:
            if hand.lay_down_if_stopping(job_id):
                break
            try:
                colorize_photo(context, colorizer, claim)
            except (TransientError, OperationalError):
                hand.release()
                raise
            hand.done(claim)
    with context.database.write() as session:
        hints = jobs.finish_chunk(session, job_id, number, context.job_limits)
    send_all(context.hints, hints)


class Hand:
    """The photos of a chunk that the worker still holds; looked after by two threads."""

    def __init__(self, context: Context, claims: Sequence[ClaimedPhoto]) -> None:
        self._context = context
        self._held = list(claims)
        self._lock = threading.Lock()

    def done(self, claim: ClaimedPhoto) -> None:
        """Let go of a photo whose outcome is committed."""
        with self._lock:
            self._held.remove(claim)

    def renew(self) -> None:
        """Prolong the leases."""
        with self._lock:
            held = list(self._held)
        with self._context.database.write() as session:
            jobs.renew_photos(session, held, self._context.job_limits)

    def release(self) -> None:
        """Put the rest back unharmed."""
        with self._context.database.write() as session:
            jobs.release_photos(session, self._held)

    def lay_down_if_stopping(self, job_id: str) -> bool:
        """Whether the job was canceled; then the rest is marked so."""
        with self._context.database.read() as session:
            stopping = jobs.is_stopping(session, job_id)
        if stopping:
            with self._context.database.write() as session:
                jobs.abandon_photos(session, self._held)
        return stopping


def colorize_photo(context: Context, colorizer: "Colorizer", claim: ClaimedPhoto) -> None:
    """Bring one photo to its outcome: done, or failed with a code.

    Raises:
        TransientError: the storage is away; nothing was decided.
    """
    started = time.monotonic()
    try:
        check_version(colorizer, claim)
        result = make_result(context, colorizer, claim, started)
    except TransientError:
        raise
    except Exception as error:
        code, message = explain(error)
        log.warning("photo %s of job %s failed: %s", claim.id, claim.job_id, code, exc_info=code == "internal_error")
        with context.database.write() as session:
            jobs.fail_photo(session, claim, code, named(claim.path, message))
        return
    with context.database.write() as session:
        accepted = jobs.finish_photo(session, claim, result)
    if not accepted:
        for key in (result.result_key, *preview_keys(result.result_key)):
            context.storage.delete(key)


def check_version(colorizer: "Colorizer", claim: ClaimedPhoto) -> None:
    """Raise CheckpointError (`model_version_missing`) unless the loaded model is the one the job is pinned to."""
    if colorizer.version != claim.model_version:
        message = f"The job is pinned to model {claim.model_version}, and this worker holds {colorizer.version}."
        raise CheckpointError("model_version_missing", message)


def make_result(context: Context, colorizer: "Colorizer", claim: ClaimedPhoto, started: float) -> PhotoResult:
    """Decode, colorize, encode and store a photo and its previews; durable when this returns."""
    with context.storage.open(claim.original_key) as stream:
        scan = codec.decode(stream, context.image_limits)
    colorized = colorizer.colorize(scan)
    key = f"jobs/{claim.job_id}/results/{claim.id}-{claim.epoch}"
    stored = context.storage.put(key, io.BytesIO(codec.encode(colorized.pages, scan)))
    store_previews(context, claim.original_key, scan.first.samples, scan)
    store_previews(context, key, colorized.rgb, scan)
    seconds = round(time.monotonic() - started, 3)
    return PhotoResult(key, stored.size_bytes, stored.sha256, colorizer.version, seconds)


def preview_keys(key: str) -> tuple[str, str]:
    """Where the preview and the thumbnail of an original or a result are stored."""
    return f"{key}.preview", f"{key}.thumbnail"


def store_previews(context: Context, key: str, pixels: Samples, scan: Scan) -> None:
    """Store what pages show of an original or a result."""
    sizes = context.preview_sizes
    for preview_key, edge_px in zip(preview_keys(key), (sizes.preview_edge_px, sizes.thumbnail_edge_px), strict=True):
        content = preview_jpeg(pixels, scan.orientation, edge_px)
        context.storage.put(preview_key, io.BytesIO(content))


def explain(error: Exception) -> tuple[str, str]:
    """Code and message for a photo that did not come out."""
    if isinstance(error, NotFoundError):
        return "original_missing", "Its original is gone from the storage."
    if isinstance(error, Gray2HueError):
        return error.code, error.message
    if isinstance(error, MemoryError):
        return "out_of_memory", "There was not enough memory for a picture of this size."
    return "internal_error", "Colorizing failed unexpectedly; see the worker's log."
