"""From an upload of training material to its photographs: every file gets its row, in the order of the upload."""

import logging
from pathlib import PurePosixPath
from typing import BinaryIO

from sqlalchemy.exc import OperationalError

from core import training_material as material
from core.archives import is_system_file
from core.errors import ArchiveError, Gray2HueError, ImageError, InputError, TransientError
from core.imaging.codec import IMAGE_SUFFIXES, probe
from core.training.filtering import NEAR_BITS, Duplicates, judge
from core.training.sources import IMAGE_LIMITS, decode_photo
from core.training_material import MaterialClaim, NewTrainingPhoto
from worker.handlers.context import Context, heartbeat
from worker.handlers.ingest import Candidate, VoidClaimError, candidates
from worker.handlers.sweep import clear_away
from worker.handlers.wording import named

log = logging.getLogger(__name__)

BATCH_PHOTOS = 16
UNREADABLE = "unreadable"
NOT_AN_IMAGE = "not_an_image"


def read_material(context: Context, upload_id: str) -> None:
    """Read an upload. Goes on where an earlier worker fell; does nothing where another one is at it.

    Of one that is over, withdrawn perhaps, it deletes what is left.
    """
    with context.database.write() as session:
        claim = material.claim_upload(session, upload_id, context.owner, context.job_limits.lease_s)
    if claim is None:
        delete_leavings(context, upload_id)
        return
    reading = Reading(context, claim)
    try:
        with heartbeat(context.heartbeat_s, reading.renew):
            reading.run()
    except VoidClaimError:
        log.info("reading of upload %s was laid down", upload_id)
        reading.discard()
    except (TransientError, OperationalError):
        reading.release()
        raise
    except Exception:
        log.exception("reading of upload %s failed unexpectedly", upload_id)
        reading.fail(Gray2HueError("internal_error", "Reading failed unexpectedly; see the worker's log."))
        raise
    clear_away(context)


def delete_leavings(context: Context, upload_id: str) -> None:
    """Delete what is stored without need of an upload that is over: what died readers left, all of a withdrawn one."""
    with context.database.write() as session:
        left = material.leavings(session, upload_id)
    if left is None:
        return
    for key in left.keys(context.storage):
        context.storage.delete(key)
    with context.database.write() as session:
        material.note_cleared(session, left)


class Reading:
    """The reading of one upload."""

    def __init__(self, context: Context, claim: MaterialClaim) -> None:
        self._context = context
        self._claim = claim
        self._batch: list[NewTrainingPhoto] = []
        self._number = 0
        self._folder = material.folder_of_upload(claim.upload_id)
        self._is_void = False
        self._known = Duplicates()
        with context.database.read() as session:
            self._resume_at = material.photos_added(session, claim.upload_id)
            self._stored = material.stored_keys(session, claim.upload_id)
            fingerprints = material.usable_fingerprints(session)
        for fingerprint in fingerprints:
            self._known.add(fingerprint)

    def renew(self) -> None:
        """Prolong the lease, and hear whether the upload was withdrawn or is somebody else's by now."""
        with self._context.database.write() as session:
            self._is_void = not material.renew_upload(session, self._claim, self._context.job_limits.lease_s)

    def run(self) -> None:
        """Go through the upload, record its files, and close the reading."""
        self._delete_leavings()
        with self._context.storage.open(self._claim.key) as stream:
            try:
                for candidate in candidates(self._claim.name, stream, self._context):
                    self._take(candidate)
            except ArchiveError as error:
                if max(self._number, self._resume_at) == 0:
                    self.fail(error)
                    return
                self._take(Candidate(self._claim.name, error, None))
        if self._number == 0:
            self.fail(ArchiveError("empty_archive", f"{self._claim.name} holds no files."))
            return
        self._flush()
        with self._context.database.write() as session:
            material.finish_upload(session, self._claim)

    def fail(self, error: Gray2HueError) -> None:
        """Close the reading for an error; what was recorded before stands."""
        self.discard()
        with self._context.database.write() as session:
            message = named(self._claim.name, error.message)
            material.fail_upload(session, self._claim, error.code, message)

    def release(self) -> None:
        """Let go of the upload unharmed."""
        with self._context.database.write() as session:
            material.release_upload(session, self._claim)

    def discard(self) -> None:
        """Delete what was stored and has no row, and forget it."""
        for photo in self._batch:
            if photo.key:
                self._context.storage.delete(photo.key)
        self._batch = []

    def _delete_leavings(self) -> None:
        """Delete what a worker that died had stored without recording it."""
        if self._claim.epoch > 1:
            for key in list(self._context.storage.list(self._folder)):
                if key not in self._stored:
                    self._context.storage.delete(key)

    def _take(self, candidate: Candidate) -> None:
        if self._is_void:
            raise VoidClaimError
        if self._number >= self._resume_at:
            self._batch.append(self._examine(candidate))
            if len(self._batch) >= BATCH_PHOTOS:
                self._flush()
        self._number += 1

    def _flush(self) -> None:
        with self._context.database.write() as session:
            needless = material.add_photos(session, self._claim, self._batch, NEAR_BITS)
        if needless is None:
            raise VoidClaimError
        self._batch = []
        for key in needless:
            self._context.storage.delete(key)

    def _examine(self, candidate: Candidate) -> NewTrainingPhoto:
        path = candidate.path
        if is_system_file(path):
            return NewTrainingPhoto(path, NOT_AN_IMAGE)
        if candidate.refusal is not None or candidate.stream is None:
            return NewTrainingPhoto(path, UNREADABLE)
        key = f"{self._folder}{self._number}-{self._claim.epoch}"
        storage = self._context.storage
        try:
            stored = storage.put(key, candidate.stream)
        except ArchiveError:
            raise
        except InputError:
            return NewTrainingPhoto(path, UNREADABLE)
        with storage.open(key) as stream:
            photo = self._judged(path, key, stream, stored.sha256)
        if not photo.key:
            storage.delete(key)
        return photo

    def _judged(self, path: str, key: str, stream: BinaryIO, sha256: str) -> NewTrainingPhoto:
        try:
            if probe(stream, IMAGE_LIMITS) is None:
                is_called_image = PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES
                return NewTrainingPhoto(path, UNREADABLE if is_called_image else NOT_AN_IMAGE)
            stream.seek(0)
            rgb = decode_photo(stream.read())
        except (ImageError, MemoryError):
            return NewTrainingPhoto(path, UNREADABLE)
        judgment = judge(rgb)
        code = judgment.code or ("duplicate" if self._known.has(judgment.fingerprint) else "")
        if not code:
            self._known.add(judgment.fingerprint)
        height, width = rgb.shape[:2]
        return NewTrainingPhoto(path, code, "" if code else key, sha256, judgment.fingerprint, width, height)
