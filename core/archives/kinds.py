"""What an archive is, by its content, and the walk over it."""

import tarfile
import zipfile
from collections.abc import Iterator
from typing import BinaryIO, Literal

from core.archives.members import ArchiveLimits, Member
from core.archives.packing import unpacked
from core.archives.reading import DAMAGE
from core.archives.tar_reader import is_tar_header, walk_tar
from core.archives.zip_reader import walk_zip
from core.errors import ArchiveError

ArchiveKind = Literal["zip", "tar", "other"]

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x07\x08PK", b"PK00PK")
ZIP_SUFFIXES = (".zip", ".exe")
TAR_SUFFIXES = (
    ".tar",
    ".tar.gz",
    ".tgz",
    ".tar.bz2",
    ".tbz2",
    ".tbz",
    ".tar.xz",
    ".txz",
    ".tar.zst",
    ".tzst",
)
OTHER_KINDS = {b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "RAR", b"\x1f\x9d": "compress (.Z)", b"MSCF": "CAB"}


def archive_kind(stream: BinaryIO, name: str) -> ArchiveKind | None:
    """Tell what archive a seekable stream holds, by its content; None where it is none. The stream is rewound.

    "other" is a kind that is known but not read, such as RAR.

    The name only decides where content cannot: of something with a ZIP at its end (a self-extractor, but also many a
    picture) it must say .zip or .exe, and of zeros only (an empty TAR) .tar or the like.
    """
    try:
        return kind_by_content(stream, name.lower())
    finally:
        stream.seek(0)


def kind_by_content(stream: BinaryIO, name: str) -> ArchiveKind | None:
    """Do the work of `archive_kind` without rewinding; the name in lower case."""
    stream.seek(0)
    start = stream.read(tarfile.BLOCKSIZE)
    if start.startswith(ZIP_MAGIC):
        return "zip"
    if start.startswith(tuple(OTHER_KINDS)):
        return "other"
    stream.seek(0)
    packed = unpacked(stream)
    if packed is not stream:
        try:
            start = b""
            while len(start) < tarfile.BLOCKSIZE and (piece := packed.read(tarfile.BLOCKSIZE - len(start))):
                start += piece
        except DAMAGE:
            return None
    if is_tar_header(start) or (start == bytes(tarfile.BLOCKSIZE) and name.endswith(TAR_SUFFIXES)):
        return "tar"
    return "zip" if name.endswith(ZIP_SUFFIXES) and packed is stream and zipfile.is_zipfile(stream) else None


def walk(stream: BinaryIO, name: str, limits: ArchiveLimits) -> Iterator[Member]:
    """Yield an archive's files in its order; a second walk gives the same indexes and paths.

    Folders are no members. What is no plain file, or has a path that climbs out, is a member with an error. An empty
    archive yields nothing. Reading a member is optional.

    A path's separator is the slash, and in a ZIP made on Windows the backslash too, as older packers there wrote it.
    Anywhere else a backslash is a character of a name and kept.

    Args:
        stream: seekable, and not touched by others during the walk.
        name: the archive's file name; see `archive_kind`.

    Raises:
        ArchiveError: while iterating. unsupported_archive, broken_archive (what was yielded before stands),
            too_many_entries, archive_too_large.
    """
    kind = archive_kind(stream, name)
    if kind == "zip":
        yield from walk_zip(stream, limits)
    elif kind == "tar":
        yield from walk_tar(stream, limits)
    else:
        raise no_archive(stream, name)


def no_archive(stream: BinaryIO, name: str) -> ArchiveError:
    """Return the error for what is no archive: another kind of archive, a damaged one by its name, or none at all."""
    start = stream.read(8)
    for magic, other in OTHER_KINDS.items():
        if start.startswith(magic):
            return ArchiveError("unsupported_archive", f"{name}: {other} archives are not read; send a ZIP or a TAR")
    if name.lower().endswith((".zip", *TAR_SUFFIXES)):
        return ArchiveError("broken_archive", f"{name}: is empty, damaged or not what its name says")
    return ArchiveError("unsupported_archive", f"{name}: is neither a ZIP nor a TAR")
