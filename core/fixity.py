"""Whether what is stored still is what the database knows of it, read anew from end to end.

Originals, results, training material and models' weights are compared with their SHA-256; uploads that wait for their
unpacking, which have none yet, with their size. Previews are not looked at: they can be made again.

It may be done while everything runs, and takes the same memory however much is stored: the database is read in pages,
the storage in streams. Since the world moves on meanwhile, each problem is looked up once more before it counts as one.
"""

import hashlib
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, BinaryIO

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import InstrumentedAttribute

from core.database import Database
from core.errors import CheckpointError, NotFoundError, StorageError
from core.model_store import weights_key
from core.records import FINAL_JOB_STATES, Job, JobState, ModelVersion, Photo, PhotoState, TrainingPhoto, Upload
from core.storage import PIECE_BYTES, Storage

PAGE = 500
AHEAD_PER_THREAD = 4
JOB_KEY = re.compile(
    r"jobs/(?P<job>[^/]+)/"
    r"(?:(?P<upload>uploads/\d+)|originals/(?P<original>[^/.]+)|results/(?P<result>[^/.]+)-\d+)"
    r"(?P<shown>\.preview|\.thumbnail)?"
)


class Part(StrEnum):
    """What a stored file is."""

    ORIGINAL = "original"
    RESULT = "result"
    UPLOAD = "upload"
    MATERIAL = "material"
    MODEL = "model"


class Fault(StrEnum):
    """What is wrong with it."""

    MISSING = "missing"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Item:
    """A file that should be stored.

    Attributes:
        key: where; of a model, the folder.
        path: what people call it.
        sha256: 64 hexadecimal digits, or "" where only the size is known.
        size_bytes: None where only the hash is known.
        row: the record that says so, and its primary key.
    """

    part: Part
    key: str
    path: str
    sha256: str
    size_bytes: int | None
    row: tuple[type[Any], Any]
    job_id: str = ""


@dataclass(frozen=True)
class Checked:
    """What was found; `fault` is None where all is well, else `message` tells more."""

    item: Item
    read_bytes: int = 0
    fault: Fault | None = None
    message: str = ""


@dataclass
class Summary:
    """Counts over all files."""

    files: int = 0
    read_bytes: int = 0
    faults: dict[Fault, int] = field(default_factory=lambda: dict.fromkeys(Fault, 0))

    def add(self, checked: Checked) -> None:
        """Count one more."""
        self.files += 1
        self.read_bytes += checked.read_bytes
        if checked.fault is not None:
            self.faults[checked.fault] += 1

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.faults.values())


def check(database: Database, storage: Storage, *, job_id: str | None = None, threads: int = 4) -> Iterator[Checked]:
    """Look at every file that should be stored, several at a time, in the database's order.

    Args:
        database: what should be there.
        storage: what is.
        job_id: only this job's files; NotFoundError (`not_found`) where there is none. Else all jobs', the training
            material and the models.
        threads: how many files are read at once.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="fixity")
    ahead: deque[Future[Checked]] = deque()
    try:
        for item in _items(database, job_id):
            ahead.append(pool.submit(_examine, storage, item))
            if len(ahead) > AHEAD_PER_THREAD * threads:
                yield from _confirmed(database, storage, ahead.popleft().result())
        while ahead:
            yield from _confirmed(database, storage, ahead.popleft().result())
    finally:
        pool.shutdown(cancel_futures=True)


def _items(database: Database, job_id: str | None) -> Iterator[Item]:
    kept = select(Job).where(Job.state != JobState.EXPIRED)
    if job_id is not None:
        with database.read() as session:
            if session.get(Job, job_id) is None:
                raise NotFoundError("not_found", f"There is no job {job_id}.")
        kept = kept.where(Job.id == job_id)
    for job in _paged(database, kept, Job.id):
        uploads, photos = select(Upload).where(Upload.job_id == job.id), select(Photo).where(Photo.job_id == job.id)
        for upload in _paged(database, uploads, Upload.position):
            yield from _items_of(upload)
        for photo in _paged(database, photos, Photo.position):
            yield from _items_of(photo)
    if job_id is None:
        for material in _paged(database, select(TrainingPhoto), TrainingPhoto.id):
            yield from _items_of(material)
        for model in _paged(database, select(ModelVersion), ModelVersion.version):
            yield from _items_of(model)


def _paged(database: Database, rows: Select[Any], key: InstrumentedAttribute[Any]) -> Iterator[Any]:
    """The rows in the order of a column that is unique among them, each page in a transaction of its own."""
    page_of = rows.order_by(key).limit(PAGE)
    with database.read() as session:
        page = session.scalars(page_of).all()
    while page:
        yield from page
        with database.read() as session:
            page = session.scalars(page_of.where(key > getattr(page[-1], key.key))).all()


def _items_of(row: Upload | Photo | TrainingPhoto | ModelVersion) -> list[Item]:
    """What a record says is stored. A model without a key comes with the program."""
    place: tuple[type[Any], Any]
    if isinstance(row, Photo):
        place, job_id = (Photo, row.id), row.job_id
        items = [
            Item(Part.ORIGINAL, row.original_key, row.path, row.sha256, row.size_bytes, place, job_id),
            Item(Part.RESULT, row.result_key, row.result_path, row.result_sha256, row.result_size_bytes, place, job_id),
        ]
    elif isinstance(row, Upload):
        place = (Upload, (row.job_id, row.position))
        items = [Item(Part.UPLOAD, row.key, row.name, "", row.size_bytes, place, row.job_id)]
    elif isinstance(row, TrainingPhoto):
        kept_key = row.key if row.withdrawn_at is None else ""
        items = [Item(Part.MATERIAL, kept_key, row.path, row.sha256, None, (TrainingPhoto, row.id))]
    else:
        items = [Item(Part.MODEL, row.key, row.version, row.sha256, None, (ModelVersion, row.version))]
    return [item for item in items if item.key]


def _examine(storage: Storage, item: Item) -> Checked:
    """Compare what is stored with what should be, once."""
    try:
        if not item.sha256:
            return _compared(item, storage.size(item.key), "", 0)
        key = weights_key(storage, item.key, item.sha256) if item.part is Part.MODEL else item.key
        with storage.open(key) as stream:
            size_bytes, sha256 = _read(stream)
        return _compared(item, size_bytes, sha256, size_bytes)
    except NotFoundError:
        return Checked(item, fault=Fault.MISSING, message=f"nothing is stored under {item.key}")
    except CheckpointError as error:
        is_missing = error.code == "model_version_missing"
        return Checked(item, fault=Fault.MISSING if is_missing else Fault.DAMAGED, message=error.message)
    except (StorageError, OSError) as error:
        return Checked(item, fault=Fault.UNREADABLE, message=f"{item.key}: {error}")


def _read(stream: BinaryIO) -> tuple[int, str]:
    """Size and SHA-256, from the disk where that can be had: what lies in memory tells nothing about it."""
    with suppress(OSError, AttributeError):
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    digest, size_bytes = hashlib.sha256(), 0
    while piece := stream.read(PIECE_BYTES):
        digest.update(piece)
        size_bytes += len(piece)
    return size_bytes, digest.hexdigest()


def _compared(item: Item, size_bytes: int, sha256: str, read_bytes: int) -> Checked:
    message = ""
    if item.size_bytes not in (None, size_bytes):
        message = f"{item.key} has {size_bytes} bytes instead of {item.size_bytes}"
    elif sha256 != item.sha256:
        message = f"{item.key} has the SHA-256 {sha256} instead of {item.sha256}"
    return Checked(item, read_bytes, Fault.DAMAGED if message else None, message)


def _confirmed(database: Database, storage: Storage, checked: Checked) -> Iterator[Checked]:
    """What was found, once the database still says so; nothing where the file need not be there any more."""
    while checked.fault is not None:
        again = _look_up(database, checked.item)
        if again is None:
            return
        if again == checked.item:
            break
        checked = _examine(storage, again)
    yield checked


def _look_up(database: Database, item: Item) -> Item | None:
    with database.read() as session:
        row = session.get(*item.row)
        job = session.get(Job, item.job_id) if item.job_id else None
    if row is None or (job is not None and job.state == JobState.EXPIRED):
        return None
    return next((found for found in _items_of(row) if found.part is item.part), None)


def orphans(database: Database, storage: Storage, job_id: str | None = None) -> Iterator[str]:
    """Keys under jobs/ that no record refers to, and that nobody is about to record or to delete.

    They are what a process left that died between storing and committing. Nothing is lost by them but room.
    """
    for page in orphan_pages(database, storage, job_id):
        yield from page


def orphan_pages(database: Database, storage: Storage, job_id: str | None = None) -> Iterator[list[str]]:
    """The same, with a list for each page of keys that was looked at, be it empty: one may rest after each."""
    keys = storage.list(f"jobs/{job_id}/" if job_id else "jobs/")
    while page := list(islice(keys, PAGE)):
        yield [key for key in _unreferred(database, page) if storage.exists(key)]


FilesOfPhoto = Row[str, PhotoState, str, str]
_FILES_OF_PHOTOS = select(Photo.id, Photo.state, Photo.original_key, Photo.result_key)


def _unreferred(database: Database, keys: Sequence[str]) -> list[str]:
    places = {key: JOB_KEY.fullmatch(key) for key in keys}
    matches = [place for place in places.values() if place is not None]
    job_ids = {place["job"] for place in matches}
    photo_ids = {place["original"] or place["result"] for place in matches} - {None}
    upload_keys = [place[0] for place in matches if place["upload"]]
    with database.read() as session:
        # Jobs first: one that is unpacked by then has all of its photos recorded.
        jobs = {job.id: job for job in session.scalars(select(Job).where(Job.id.in_(job_ids)))}
        photos = {photo.id: photo for photo in session.execute(_FILES_OF_PHOTOS.where(Photo.id.in_(photo_ids)))}
        uploads: set[str] = set()
        if upload_keys:
            known = select(Upload.key).where(Upload.job_id.in_(job_ids), Upload.key.in_(upload_keys))
            uploads.update(session.scalars(known))
    return [
        key
        for key, place in places.items()
        if place is None or not (key in uploads or _is_expected(place, jobs.get(place["job"]), photos))
    ]


def _is_expected(place: re.Match[str], job: Job | None, photos: dict[str, FilesOfPhoto]) -> bool:
    """Whether a file is one that the job's records know of, or one that somebody works with now."""
    if job is None:
        return False
    if job.state == JobState.RECEIVING or (job.state == JobState.EXPIRED and job.purged_at is None):
        return True
    key = place[0].removesuffix(place["shown"] or "")
    photo = photos.get(place["original"] or place["result"] or "")
    if photo is None:
        return bool(place["original"]) and job.ingested_at is None and job.state not in FINAL_JOB_STATES
    is_being_made = bool(place["result"]) and photo.state == PhotoState.RUNNING
    return is_being_made or key in (photo.original_key, photo.result_key)
