"""What comes out: originals, results and previews one by one, or all results as a ZIP that is made while it is sent."""

from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from core import jobs
from core.archives import NO_RESULT, ORIGINAL_FIELDS, ManifestRow, ManifestValue, ResultEntry, stream_zip
from core.database import Database
from core.errors import NotFoundError
from core.options import JobOptions
from core.records import Photo, PhotoState
from core.storage import Storage
from web.offers import get_kept_job
from web.parameters import choice_parameter
from web.responses import KEPT, REVALIDATED, content_disposition, stored_object
from web.services import services
from web.uploads import ARCHIVE_SUFFIXES

PHOTOS_PER_PAGE = 500

blueprint = Blueprint("results", __name__, url_prefix="/api/v1/jobs/<id:job_id>")


@blueprint.get("/photos/<id:photo_id>/original")
def original(job_id: str, photo_id: str) -> ResponseReturnValue:
    """The original, byte for byte as it came."""
    photo = _photo(job_id, photo_id)
    if not photo.original_key:
        raise NotFoundError("no_original", f"Nothing was kept of {photo.path}.")
    return stored_object(services().storage, photo.original_key, photo.media_type, photo.path, REVALIDATED)


@blueprint.get("/photos/<id:photo_id>/result")
def result(job_id: str, photo_id: str) -> ResponseReturnValue:
    """The colorized photograph."""
    photo = _done(_photo(job_id, photo_id))
    media_type = photo.result_media_type or photo.media_type
    return stored_object(services().storage, photo.result_key, media_type, photo.result_path, REVALIDATED)


@blueprint.get("/photos/<id:photo_id>/preview")
def preview(job_id: str, photo_id: str) -> ResponseReturnValue:
    """A small JPEG of result or original, upright, for pages."""
    of, size = choice_parameter("of", ("result", "original")), choice_parameter("size", ("preview", "thumbnail"))
    photo = _photo(job_id, photo_id)
    key = _done(photo).result_key if of == "result" else photo.original_key
    return stored_object(services().storage, f"{key}.{size}", "image/jpeg", f"{photo.path}.{size}.jpg", KEPT)


@blueprint.get("/results.zip")
def archive(job_id: str) -> ResponseReturnValue:
    """All results so far under their originals' paths, with manifests; streamed, whatever its size."""
    with services().database.read() as records:
        job = get_kept_job(records, job_id)
    collection = ResultCollection(services().database, services().storage, job.id, job.options)
    response = Response(stream_zip(collection.entries(), collection.manifest), content_type="application/zip")
    response.headers["Content-Disposition"] = content_disposition(f"{_stem(job.name)}-colorized.zip")
    return response


class ResultCollection:
    """A job's results, read from the database in pages and from the storage one at a time.

    The manifest must tell of this very archive: a photo that is done only after its place in the order was passed is
    still `running` in it.
    """

    def __init__(self, database: Database, storage: Storage, job_id: str, options: JobOptions) -> None:
        self._database = database
        self._storage = storage
        self._job_id = job_id
        self._options = options.model_dump(mode="json")
        self._included = bytearray()

    def entries(self) -> Iterator[ResultEntry]:
        """The results, in the order of the upload."""
        for photo in self._photos(PhotoState.DONE):
            self._included.extend(bytes(max(0, photo.position + 1 - len(self._included))))
            self._included[photo.position] = 1
            yield photo.result_path, photo.result_size_bytes, partial(self._storage.open, photo.result_key)

    def manifest(self) -> Iterator[ManifestRow]:
        """A row for every file of the job."""
        for photo in self._photos():
            yield self._row(photo)

    def _row(self, photo: Photo) -> ManifestRow:
        row: dict[str, ManifestValue] = {name: getattr(photo, name) for name in ORIGINAL_FIELDS}
        row |= {**NO_RESULT, "options": self._options}
        if photo.position < len(self._included) and self._included[photo.position]:
            return row | {name: getattr(photo, name) for name in NO_RESULT}
        return row | {"state": PhotoState.RUNNING} if photo.state == PhotoState.DONE else row

    def _photos(self, *states: PhotoState) -> Iterator[Photo]:
        after = -1
        while True:
            with self._database.read() as records:
                page = jobs.list_photos(records, self._job_id, after=after, limit=PHOTOS_PER_PAGE, states=states)
            yield from page
            if len(page) < PHOTOS_PER_PAGE:
                return
            after = page[-1].position


def _photo(job_id: str, photo_id: str) -> Photo:
    with services().database.read() as records:
        return jobs.get_photo(records, get_kept_job(records, job_id), photo_id)


def _done(photo: Photo) -> Photo:
    if photo.state != PhotoState.DONE:
        raise NotFoundError("no_result", f"{photo.path} has no result: it is {photo.state}.")
    return photo


def _stem(name: str) -> str:
    stem = PurePosixPath(name.replace("/", "_"))
    while stem.suffix.lower() in ARCHIVE_SUFFIXES:
        stem = stem.with_suffix("")
    return str(stem)
