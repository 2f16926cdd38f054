"""Where the bytes are: uploads, originals, results, previews. One small protocol and the local folder behind it."""

import errno
import hashlib
import math
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from core.boundaries import OPEN, Boundaries, Boundary
from core.errors import NotFoundError, StorageError, StorageFullError

PIECE_BYTES = 1 << 20


class Readable(Protocol):
    """Anything with a `read(size)` that gives bytes, and b"" at its end."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes."""


@dataclass(frozen=True)
class Stored:
    """What was stored: its size in bytes and its SHA-256 as 64 hexadecimal digits."""

    size_bytes: int
    sha256: str


class Storage(Protocol):
    """Objects by key. A key is a relative path of plain names; what is stored under one never changes.

    Every method raises StorageError (`storage_failed`) when the storage does not work and StorageFullError
    (`storage_full`) when there is no room.
    """

    def put(self, key: str, stream: Readable) -> Stored:
        """Store the stream to its end. On return the bytes are durable; before, nothing is seen under the key."""

    def put_file(self, key: str, path: Path) -> int:
        """Take over a finished local file (it is gone afterwards); durable on return. Gives its size in bytes."""

    def open(self, key: str) -> BinaryIO:
        """A seekable stream; NotFoundError (`object_missing`) where there is no such key."""

    def exists(self, key: str) -> bool:
        """Whether something is stored under the key."""

    def size(self, key: str) -> int:
        """Size in bytes; NotFoundError (`object_missing`) where there is no such key."""

    def delete(self, key: str) -> None:
        """Remove what is under the key, if anything is."""

    def url(self, key: str) -> str | None:
        """An address a browser may fetch by itself, or None where the web has to serve the bytes."""

    def list(self, prefix: str) -> Iterator[str]:
        """Every key that begins with the prefix, in no particular order."""

    def free_bytes(self) -> int | None:
        """How much room is left, in bytes; None where that cannot be told."""

    def forget_unfinished(self, age_s: float) -> None:
        """Delete what was begun and never got its key, and was not touched for so many seconds.

        What cannot be deleted keeps nothing else from going; then StorageError comes at the end.
        """


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError("object_missing", f"Nothing is stored under {key}.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFullError("storage_full", "There is no room left in the storage folder.") from error
        raise StorageError("storage_failed", f"The storage folder failed: {error.strerror}.") from error


class LocalStorage:
    """The protocol on a local folder: written aside, fsynced, renamed, and the folder fsynced.

    Args:
        root: the folder.
        boundaries: are told when an upload or a result is written, and when a result has got its name.
    """

    def __init__(self, root: Path, boundaries: Boundaries = OPEN) -> None:
        self._root = root
        self._boundaries = boundaries
        self._aside = root / ".aside"

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if not all(part and not part.startswith(".") and "\0" not in part for part in parts):
            raise NotFoundError("object_missing", f"{key!r} is no storage key.")
        return self._root.joinpath(*parts)

    def put(self, key: str, stream: Readable) -> Stored:
        """See Storage.put."""
        target = self._path(key)
        aside = self._aside / secrets.token_hex(16)
        digest = hashlib.sha256()
        size_bytes = 0
        try:
            with _translated(key):
                self._aside.mkdir(parents=True, exist_ok=True)
                file = aside.open("xb")
            with file:
                while piece := stream.read(PIECE_BYTES):
                    with _translated(key):
                        file.write(piece)
                    digest.update(piece)
                    size_bytes += len(piece)
                with _translated(key):
                    file.flush()
                    os.fsync(file.fileno())
            photo_id = _result_of(key)
            if photo_id:
                self._boundaries.reach(Boundary.RESULT_WRITTEN, photo_id)
            with _translated(key):
                self._publish(aside, target)
            if photo_id:
                self._boundaries.reach(Boundary.RENAMED, photo_id)
        finally:
            aside.unlink(missing_ok=True)
        return Stored(size_bytes, digest.hexdigest())

    def put_file(self, key: str, path: Path) -> int:
        """See Storage.put_file."""
        target = self._path(key)
        with _translated(key), path.open("rb") as file:
            os.fsync(file.fileno())
            size_bytes = os.fstat(file.fileno()).st_size
        self._boundaries.reach(Boundary.BYTES_FSYNCED, _job_of(key))
        with _translated(key):
            self._publish(path, target)
        return size_bytes

    def _publish(self, source: Path, target: Path) -> None:
        missing = [folder for folder in target.parents if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        for folder in {target.parent, *(folder.parent for folder in missing)}:
            _fsync_folder(folder)

    def open(self, key: str) -> BinaryIO:
        """See Storage.open."""
        with _translated(key):
            return self._path(key).open("rb")

    def exists(self, key: str) -> bool:
        """See Storage.exists."""
        return self._path(key).is_file()

    def size(self, key: str) -> int:
        """See Storage.size."""
        with _translated(key):
            return self._path(key).stat().st_size

    def delete(self, key: str) -> None:
        """See Storage.delete."""
        with _translated(key):
            self._path(key).unlink(missing_ok=True)

    def url(self, key: str) -> str | None:
        """None: a local folder has no web address of its own."""
        return None

    def list(self, prefix: str) -> Iterator[str]:
        """See Storage.list."""
        above = prefix.rpartition("/")[0]
        folder = self._root.joinpath(*above.split("/"))
        with _translated(prefix):
            for key in _walk(folder, above and f"{above}/"):
                if key.startswith(prefix):
                    yield key

    def free_bytes(self) -> int | None:
        """See Storage.free_bytes."""
        with _translated("the folder"):
            self._root.mkdir(parents=True, exist_ok=True)
            found = os.statvfs(self._root)
        return found.f_bavail * found.f_frsize

    def forget_unfinished(self, age_s: float) -> None:
        """See Storage.forget_unfinished."""
        oldest_alive = time.time() - age_s
        failure: OSError | None = None
        with _translated("the folder"):
            for path in self._aside.iterdir() if self._aside.is_dir() else ():
                try:
                    if path.stat().st_mtime < oldest_alive:
                        path.unlink(missing_ok=True)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    failure = error
            if failure is not None:
                raise failure


def delete_all(storage: Storage, prefix: str, timeout_s: float = math.inf) -> bool:
    """Delete all that is stored under a prefix. True once a look finds nothing there, False when time ran out before.

    Args:
        storage: where.
        prefix: what the keys begin with.
        timeout_s: how long this may take, about, in seconds.

    Raises:
        StorageError: something cannot be deleted; what else there was is gone, unless time ran out.
    """
    deadline = time.monotonic() + timeout_s
    is_late = False
    while not is_late:
        deleted, failure = False, None
        for key in storage.list(prefix):
            is_late = time.monotonic() > deadline
            if is_late:
                break
            try:
                storage.delete(key)
                deleted = True
            except StorageError as error:
                failure = error
        if failure is not None and (is_late or not deleted):
            raise failure
        if not deleted and not is_late:
            return True
    return False


def _walk(folder: str | Path, above: str) -> Iterator[str]:
    """Keys of all files below a folder, as they are found: there may be millions, and some may go meanwhile."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            key = f"{above}{entry.name}"
            # No part of a key begins with a dot: this is what lies aside, or a file system's own, as NFS makes them.
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{key}/")
            elif entry.is_file():
                yield key


def _result_of(key: str) -> str:
    """The photo's id if the key is a result's, jobs/<job>/results/<photo>-<epoch>, else "". Previews are none."""
    found = re.fullmatch(r"jobs/[^/]+/results/(\w+)-\d+", key)
    return found[1] if found else ""


def _job_of(key: str) -> str:
    """The job's id if the key is one of a job's, jobs/<job>/..., else ""."""
    found = re.match(r"jobs/([^/]+)/", key)
    return found[1] if found else ""


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
