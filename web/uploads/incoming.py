"""Files on their way in, under names of our own, gone whatever happens unless the storage took them over."""

import errno
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from core.errors import StorageError, StorageFullError

STALE_AFTER_S = 24 * 3600


@dataclass(frozen=True)
class IncomingFile:
    """A file that came in whole: its name as the sender gave it, where it lies, its size in bytes."""

    name: str
    path: Path
    size_bytes: int


class IncomingFolder:
    """A folder for the files of one upload, used as a context; what is left in it at the end is removed.

    Args:
        path: does not exist yet; on the same file system as the storage folder, so that files move without a copy.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.files: list[IncomingFile] = []

    def __enter__(self) -> Self:
        with disk_errors():
            self._path.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        shutil.rmtree(self._path, ignore_errors=True)

    def write(self, name: str, pieces: Iterator[bytes]) -> None:
        """Write a file from its pieces, under the number it has in the upload.

        Raises:
            StorageError: the folder cannot be written; StorageFullError when there is no room.
        """
        path = self._path / str(len(self.files))
        with disk_errors():
            file = path.open("xb", buffering=0)
        size_bytes = 0
        with file:
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    with disk_errors():
                        rest = rest[file.write(rest) :]
                size_bytes += len(piece)
        self.files.append(IncomingFile(name, path, size_bytes))


def remove_stale(incoming_dir: Path) -> None:
    """Remove what web processes left that were killed in the middle of an upload: folders untouched for a day."""
    oldest_alive = time.time() - STALE_AFTER_S
    for folder in incoming_dir.iterdir() if incoming_dir.is_dir() else ():
        try:
            newest = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
        except OSError:
            continue
        if newest < oldest_alive:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn what the disk refuses into errors of ours."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFullError("storage_full", "There is no room left for the upload.") from error
        raise StorageError("storage_failed", f"The upload could not be written: {error.strerror}.") from error
