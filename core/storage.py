"""Where the bytes are: uploads, originals, results, previews. One small protocol and the local folder behind it."""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

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
    """The protocol on a local folder: written aside, fsynced, renamed, and the folder fsynced."""

    def __init__(self, root: Path) -> None:
        self._root = root
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
            with _translated(key):
                self._publish(aside, target)
        finally:
            aside.unlink(missing_ok=True)
        return Stored(size_bytes, digest.hexdigest())

    def put_file(self, key: str, path: Path) -> int:
        """See Storage.put_file."""
        target = self._path(key)
        with _translated(key):
            with path.open("rb") as file:
                os.fsync(file.fileno())
                size_bytes = os.fstat(file.fileno()).st_size
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
        folder = self._root.joinpath(*prefix.split("/")[:-1])
        for path in folder.rglob("*"):
            key = path.relative_to(self._root).as_posix()
            if key.startswith(prefix) and not key.startswith(".") and path.is_file():
                yield key


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
