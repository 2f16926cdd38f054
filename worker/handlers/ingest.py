"""From uploads to photos: every file of every upload gets its row, in the order of the upload."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core import jobs
from core.archives import ArchiveLimits, archive_kind, is_system_file, path_key, taken_keys, unique_result_path, walk
from core.archives.members import clean_path, display_path
from core.boundaries import Boundary
from core.errors import (
    ArchiveError,
    Gray2HueError,
    ImageError,
    InputError,
    MemberError,
    StorageError,
    StorageFullError,
    TransientError,
)
from core.imaging.codec import IMAGE_SUFFIXES, WANTED, Probe, probe, result_format
from core.imaging.scan import SUFFIXES, Format
from core.jobs import Hint, IngestClaim, NewPhoto
from core.queue import send_all
from core.records import Job, Photo, PhotoState, new_id
from core.storage import Stored
from worker.handlers.context import Context, heartbeat
from worker.handlers.wording import named

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A file in an upload: its path, and its bytes or why they are refused."""

    path: str
    refusal: InputError | None
    stream: BinaryIO | None


class VoidClaimError(Exception):
    """Somebody else unpacks this job by now, or it was canceled."""


def ingest(context: Context, job_id: str) -> None:
    """Unpack a job's uploads. Starts where an earlier worker fell; does nothing where another one is at it."""
    claim = take(context, job_id)
    if claim is None:
        return
    intake = Intake(context, claim)
    try:
        with heartbeat(context.heartbeat_s, intake.renew):
            intake.run()
    except VoidClaimError:
        log.info("unpacking of job %s was laid down", job_id)
        intake.release()
    except StorageFullError as error:
        log.warning("job %s is paused: %s", job_id, error.message)
        intake.pause_for_room(error)
    except (TransientError, SQLAlchemyError):
        intake.release()
        raise
    except Exception:
        log.exception("unpacking of job %s failed unexpectedly", job_id)
        intake.give_up()
        raise


def take(context: Context, job_id: str) -> IngestClaim | None:
    """Claim a job's unpacking."""

    def claim(session: Session) -> IngestClaim | None:
        job = session.get(Job, job_id)
        if job is not None and job.ingest_owner == context.owner:
            # A claim stands although its answer got lost; nobody else will look after it.
            jobs.release_ingest(session, IngestClaim(job.id, job.ingest_epoch, job.express, job.options, ()))
        return jobs.claim_ingest(session, job_id, context.owner, context.job_limits)

    return context.database.patiently(claim)


class Intake:
    """The unpacking of one job."""

    def __init__(self, context: Context, claim: IngestClaim) -> None:
        self._context = context
        self._claim = claim
        self._batch: list[NewPhoto] = []
        self._position = 0
        self._upload_name = ""
        self._database = context.database
        self._resume_at = self._database.look_patiently(lambda session: jobs.photos_added(session, claim.job_id))
        paths = self._database.look_patiently(lambda session: jobs.result_paths(session, claim.job_id))
        self._taken = taken_keys(paths)

    def renew(self) -> None:
        """Prolong the lease."""
        with self._database.write() as session:
            jobs.renew_ingest(session, self._claim, self._context.job_limits)

    def release(self) -> None:
        """Let go of the unpacking unharmed."""
        self._database.patiently(lambda session: jobs.release_ingest(session, self._claim))

    def pause_for_room(self, error: StorageFullError) -> None:
        """Pause the job until there is room again, and let go of the unpacking unharmed."""

        def pause(session: Session) -> None:
            jobs.pause_for_room(session, self._claim.job_id, error.message)
            jobs.release_ingest(session, self._claim)

        self._database.patiently(pause)

    def run(self) -> None:
        """Go through all uploads, record their files, and close the unpacking."""
        try:
            self._go_through()
        except StorageError:
            # What is stored already need not be stored again.
            self._flush()
            raise

    def _go_through(self) -> None:
        for name, key, _size in self._claim.uploads:
            self._upload_name = name
            with self._context.storage.open(key) as stream:
                try:
                    for candidate in candidates(name, stream, self._context):
                        self._take(candidate)
                except ArchiveError as error:
                    if self._fail_whole(error):
                        return
                    self._take(Candidate(name, error, None))
        if self._position == 0:
            self._fail_whole(ArchiveError("empty_archive", f"{self._claim.uploads[0][0]} holds no files."))
            return
        self._flush()
        self._finish()

    def give_up(self) -> None:
        """Close the unpacking after an unexpected failure: what was found stands, the upload is listed as failed.

        The uploads stay in the storage, since not all that they hold was stored by itself.
        """
        error = Gray2HueError("internal_error", "Unpacking failed unexpectedly; see the worker's log.")
        if not self._fail_whole(error):
            self._position = max(self._position, self._resume_at)
            self._batch.append(failed(self._position, self._upload_name, error))
            self._flush()
            self._database.patiently(lambda session: jobs.finish_ingest(session, self._claim, keep_uploads=True))

    def _take(self, candidate: Candidate) -> None:
        if self._position >= self._resume_at:
            self._batch.append(self._examine(self._position, candidate))
            waiting = [photo for photo in self._batch if photo.state == PhotoState.PENDING]
            pixels = sum((photo.width or 0) * (photo.height or 0) for photo in waiting)
            limits = self._context.intake_limits
            enough = pixels >= limits.chunk_pixels or len(waiting) >= limits.chunk_photos
            if enough or len(self._batch) >= 4 * limits.chunk_photos:
                self._flush()
        self._position += 1

    def _flush(self) -> None:
        if not self._batch:
            return
        hints = self._database.patiently(self._add)
        if hints is None:
            raise VoidClaimError
        self._context.boundaries.reach(Boundary.PHOTO_ROWS_COMMITTED, self._claim.job_id)
        self._batch = []
        send_all(self._context.hints, hints)

    def _add(self, session: Session) -> list[Hint] | None:
        """Record the batch, unless it is recorded and the answer got lost; then the sweeper sends the hints."""
        if session.get(Photo, self._batch[0].id) is not None:
            return []
        return jobs.add_photos(session, self._claim, self._batch, self._context.job_limits)

    def _finish(self) -> None:
        def finish(session: Session) -> bool:
            return jobs.finish_ingest(session, self._claim) or self._is_finished(session)

        if self._database.patiently(finish):
            self._delete_uploads()

    def _is_finished(self, session: Session) -> bool:
        """Whether this very claim was finished already, and the answer got lost."""
        job = session.get_one(Job, self._claim.job_id)
        return job.ingest_epoch == self._claim.epoch and not any(upload.key for upload in job.uploads)

    def _delete_uploads(self) -> None:
        for _name, key, _size in self._claim.uploads:
            if key:
                self._context.storage.delete(key)

    def _fail_whole(self, error: Gray2HueError) -> bool:
        """Fail the job for an archive that gave nothing; False when there are other files to go on with."""
        if max(self._position, self._resume_at) > 0 or len(self._claim.uploads) > 1:
            return False
        message = named(self._claim.uploads[0][0], error.message)
        self._database.patiently(lambda session: jobs.fail_ingest(session, self._claim, error.code, message))
        return True

    def _examine(self, position: int, candidate: Candidate) -> NewPhoto:
        if is_system_file(candidate.path):
            return skipped(position, candidate.path, "system_file", "An operating system left it; it is no photograph.")
        if candidate.refusal is not None or candidate.stream is None:
            return failed(position, candidate.path, candidate.refusal or InputError("unreadable", "It cannot be read."))
        storage, photo_id = self._context.storage, new_id()
        key = f"jobs/{self._claim.job_id}/originals/{photo_id}"
        try:
            stored = storage.put(key, candidate.stream)
        except InputError as error:
            if isinstance(error, ArchiveError):
                raise
            return failed(position, candidate.path, error)
        with storage.open(key) as stream:
            photo = self._identify(position, candidate.path, stream, stored, key, photo_id)
        if not photo.original_key:
            storage.delete(key)
        return photo

    def _identify(
        self, position: int, path: str, stream: BinaryIO, stored: Stored, key: str, photo_id: str
    ) -> NewPhoto:
        try:
            found = probe(stream, self._context.image_limits)
        except ImageError as error:
            return failed(position, path, error, key, stored)
        if found is None:
            return self._not_an_image(position, path, stream, key, stored)
        wanted = WANTED[self._claim.options.output_format]
        result_path = unique_result_path(result_name(path, found, wanted), self._taken)
        return NewPhoto(
            position=position,
            path=path,
            original_key=key,
            media_type=found.media_type,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
            width=found.width,
            height=found.height,
            bit_depth=found.bit_depth,
            result_path=result_path,
            result_path_sha256=hashlib.sha256(path_key(result_path).encode()).hexdigest(),
            id=photo_id,
        )

    def _not_an_image(self, position: int, path: str, stream: BinaryIO, key: str, stored: Stored) -> NewPhoto:
        if PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES:
            error = ImageError("unreadable_image", "Its name says that it is an image, but its content is none.")
            return failed(position, path, error, key, stored)
        if archive_kind(stream, path) is not None:
            return failed(
                position, path, ArchiveError("nested_archive", "It is an archive in an archive; send it by itself.")
            )
        return skipped(position, path, "not_an_image", "It is no photograph.")


def candidates(name: str, stream: BinaryIO, context: Context) -> Iterator[Candidate]:
    """The files of an upload: an archive's members, or the upload itself.

    Raises:
        ArchiveError: the archive cannot be read (any further); what came before it stands.
    """
    if archive_kind(stream, name) is None:
        yield loose_file(name, stream, context.archive_limits)
        return
    for member in walk(stream, name, context.archive_limits):
        refusal: InputError | None = member.error
        content: BinaryIO | None = None
        if refusal is None and not is_system_file(member.path):
            try:
                content = member.open()
            except ArchiveError:
                raise
            except InputError as error:
                refusal = error
        yield Candidate(member.path, refusal, content)


def loose_file(name: str, stream: BinaryIO, limits: ArchiveLimits) -> Candidate:
    """A file that was sent by itself; its name comes from a stranger as an archive's paths do."""
    try:
        return Candidate(clean_path(name, limits.max_path_depth), None, stream)
    except MemberError as error:
        return Candidate(display_path(name), error, None)


def result_name(path: str, found: Probe, wanted: Format | None) -> str:
    """The result's path: the original's, as long as its suffix fits the result's format.

    Otherwise the suffix of the result's format takes the place of the original's, and where that says a format which
    the original never had, it is added behind it.

    Args:
        path: the original's.
        found: what its header says.
        wanted: the format asked for; None for the original's.
    """
    suffixes = SUFFIXES[result_format(found.format, wanted, found.pages)]
    suffix = PurePosixPath(path).suffix
    if suffix.lower() in suffixes:
        return path
    return (path.removesuffix(suffix) if suffix.lower() in found.suffixes else path) + suffixes[0]


def failed(position: int, path: str, error: Gray2HueError, key: str = "", stored: Stored | None = None) -> NewPhoto:
    """A file that will not come out, with the reason."""
    return NewPhoto(
        position=position,
        path=path,
        state=PhotoState.FAILED,
        code=error.code,
        message=named(path, error.message),
        original_key=key,
        size_bytes=stored.size_bytes if stored else None,
        sha256=stored.sha256 if stored else "",
    )


def skipped(position: int, path: str, code: str, reason: str) -> NewPhoto:
    """A file that is no photograph, and was never meant to come out."""
    return NewPhoto(position=position, path=path, state=PhotoState.SKIPPED, code=code, message=named(path, reason))
