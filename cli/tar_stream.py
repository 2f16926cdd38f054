"""Files of this machine as one TAR, made while it is sent, in constant memory."""

import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError

PIECE_BYTES = 1 << 18
END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class Entry:
    """One file: where it is, its name in the archive, its size and time as they were when it was found."""

    path: Path
    name: str
    size_bytes: int
    modified_at: int


def find_files(folder: Path, leave_out: Sequence[Path] = ()) -> list[Entry]:
    """All regular files below a folder, sorted by name; symbolic links are not followed and not sent.

    Args:
        folder: where to look.
        leave_out: folders and files below it that are not to be sent, e.g. where the results will be.

    Raises:
        InputError: `unreadable_file`, for a file or folder that this user may not read.
    """
    skipped = {path.absolute() for path in leave_out}
    found: list[Entry] = []
    for place, folders, names in os.walk(folder, onerror=_refuse):
        here = Path(place)
        folders[:] = sorted(name for name in folders if (here / name).absolute() not in skipped)
        for name in names:
            path = here / name
            if path.absolute() not in skipped and stat.S_ISREG(path.lstat().st_mode):
                found.append(entry_of(path, path.relative_to(folder).as_posix()))
    return sorted(found, key=lambda entry: entry.name)


def entry_of(path: Path, name: str) -> Entry:
    """One file as an entry; InputError (`unreadable_file`) when this user may not read it."""
    if not os.access(path, os.R_OK):
        raise InputError("unreadable_file", f"{path} cannot be read.")
    status = path.stat()
    return Entry(path, name, status.st_size, int(status.st_mtime))


def _refuse(error: OSError) -> None:
    raise InputError("unreadable_file", f"{error.filename} cannot be read: {error.strerror}.") from error


def tar_size(entries: Sequence[Entry]) -> int:
    """The archive's size in bytes."""
    return sum(len(_header(entry)) + entry.size_bytes + _padding(entry) for entry in entries) + len(END)


def tar_pieces(entries: Sequence[Entry]) -> Iterator[bytes]:
    """The archive's bytes.

    Raises:
        InputError: `file_changed`, when a file has another size than when it was found; no half photograph is sent.
    """
    for entry in entries:
        yield _header(entry)
        yield from _content(entry)
        yield bytes(_padding(entry))
    yield END


def _content(entry: Entry) -> Iterator[bytes]:
    left = entry.size_bytes
    with entry.path.open("rb") as file:
        while piece := file.read(min(PIECE_BYTES, left)):
            left -= len(piece)
            yield piece
        if left or file.read(1):
            raise InputError("file_changed", f"{entry.path} changed while it was sent.")


def _header(entry: Entry) -> bytes:
    header = tarfile.TarInfo(entry.name)
    header.size, header.mtime = entry.size_bytes, entry.modified_at
    return header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _padding(entry: Entry) -> int:
    return -entry.size_bytes % tarfile.BLOCKSIZE
