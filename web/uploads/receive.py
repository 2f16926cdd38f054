"""From a request to files on the disk."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from flask import Request

from core.errors import InputError, OptionsError
from core.options import JobOptions
from core.settings import Settings
from core.storage import Readable
from web.uploads.body import Body
from web.uploads.incoming import IncomingFile, IncomingFolder
from web.uploads.multipart import read_form
from web.uploads.wishes import FILE_NAME, Wishes

PIECE_BYTES = 256 * 1024
MAX_NAME_CHARACTERS = 4096
MAX_JOB_NAME_CHARACTERS = 200
EXPRESS_BYTES = 64 * 2**20
ARCHIVE_SUFFIXES = frozenset(
    {".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".tbz2", ".xz", ".txz", ".zst", ".tzst", ".7z", ".rar", ".cbz"}
)
RAW_MEDIA_TYPES = frozenset(
    {
        "",
        "application/gzip",
        "application/octet-stream",
        "application/x-bzip2",
        "application/x-gzip",
        "application/x-tar",
        "application/x-xz",
        "application/x-zip-compressed",
        "application/zip",
        "application/zstd",
    }
)


@dataclass(frozen=True)
class Parcel:
    """An upload that came in whole.

    Attributes:
        name: what the job is to be called.
        files: in the order they came.
        options: what is asked for.
        priority: of the job.
    """

    name: str
    files: tuple[IncomingFile, ...]
    options: JobOptions
    priority: int

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)

    @property
    def is_express(self) -> bool:
        """Whether it is a single photograph that somebody is likely to be waiting for."""
        only = self.files[0]
        looks_packed = PurePosixPath(only.name).suffix.lower() in ARCHIVE_SUFFIXES
        return len(self.files) == 1 and not looks_packed and only.size_bytes <= EXPRESS_BYTES


def receive(
    request: Request, folder: IncomingFolder, settings: Settings, wishes: Wishes, on_progress: Callable[[], None]
) -> Parcel:
    """Write the request's files into the folder: the parts of a form, or a raw body named by ?filename=.

    Args:
        wishes: what the query says; takes what the form says.
        on_progress: called with every piece of the body; what it raises ends the reading.

    Raises:
        InputError: `upload_too_large`, `incomplete_upload`, `broken_form`, `too_many_parts`, `unsupported_media_type`.
        OptionsError: `empty_upload`, `filename_missing`, `bad_filename`, `unexpected_file`, and what the wishes raise.
        StorageError: the disk cannot be written; StorageFullError when there is no room.
    """
    files = receive_files(request, folder, settings, wishes.take, on_progress)
    return Parcel(_job_name(wishes.name, files), files, wishes.options, wishes.priority)


def provisional_name(wishes: Wishes) -> str:
    """What a job is called while its files come in, before it is known what they are."""
    return one_line(wishes.name or wishes.file_name.rpartition("/")[2]) or "upload"


def receive_files(
    request: Request,
    folder: IncomingFolder,
    settings: Settings,
    on_text: Callable[[str, str], None],
    on_progress: Callable[[], None] = lambda: None,
) -> tuple[IncomingFile, ...]:
    """Write the request's files into the folder, whatever they are for.

    Args:
        on_text: told name and content of each text part of a form; what it raises ends the reading.
        on_progress: called with every piece of the body; what it raises ends the reading.

    Raises:
        As `receive` does, except for what is said of options and parameters.
    """
    if request.mimetype == "multipart/form-data":
        boundary = request.mimetype_params.get("boundary")
        if not boundary:
            raise InputError("broken_form", "The form names no boundary.")
        body = Body(request, settings.max_upload_bytes, on_progress)
        read_form(body, boundary, folder, settings.max_form_parts, on_text)
    elif request.mimetype in RAW_MEDIA_TYPES or request.mimetype.startswith("image/"):
        file_name = request.args.get(FILE_NAME, "")
        if not file_name:
            raise OptionsError("filename_missing", "A body that is no form needs its name: ?filename=photos.zip.")
        folder.write(file_name, _raw(Body(request, settings.max_upload_bytes, on_progress)))
    else:
        raise InputError("unsupported_media_type", f"An upload cannot be {request.mimetype}.")
    files = tuple(IncomingFile(_checked_name(file), file.path, file.size_bytes) for file in folder.files)
    if not any(file.size_bytes for file in files):
        raise OptionsError("empty_upload", "The upload holds no file, or only empty ones.")
    return files


def _raw(body: Readable) -> Iterator[bytes]:
    while piece := body.read(PIECE_BYTES):
        yield piece


def _checked_name(file: IncomingFile) -> str:
    name = file.name.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    if len(name) > MAX_NAME_CHARACTERS:
        raise OptionsError("bad_filename", f"A file's name may have {MAX_NAME_CHARACTERS} characters at most.")
    return name or f"file {file.path.name}"


def _job_name(wanted: str | None, files: tuple[IncomingFile, ...]) -> str:
    if not (name := one_line(wanted or "")):
        tops = {file.name.split("/")[0] for file in files}
        name = files[0].name.rpartition("/")[2] if len(files) == 1 else tops.pop() if len(tops) == 1 else ""
    return one_line(name) or f"{len(files)} files"


def one_line(text: str) -> str:
    """A name as a list shows it: on one line, without what cannot be seen, not too long."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return "".join(itertools.islice(" ".join(printable.split()), MAX_JOB_NAME_CHARACTERS))
