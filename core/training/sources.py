"""Color photographs from wherever a person keeps them: folders, archives, single files."""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.archives import ArchiveLimits, Member, archive_kind, is_system_file, walk
from core.errors import InputError
from core.imaging import codec
from core.imaging.orientation import upright
from core.imaging.samples import to_8_bit

IMAGE_LIMITS = codec.ImageLimits(max_pixels=100_000_000, max_bytes=1 << 30)
"""Larger pictures would take gigabytes each while they are prepared, and are left out."""

ARCHIVE_LIMITS = ArchiveLimits(
    max_entries=2_000_000,
    max_total_bytes=1 << 42,
    max_entry_bytes=IMAGE_LIMITS.max_bytes,
    max_entry_ratio=1100,
    max_path_depth=64,
)


@dataclass(frozen=True, eq=False)
class SourcePhoto:
    """One file that may be a photograph.

    Args:
        name: for people and for the order: its path, of an archive's member behind the archive's.
        read: gives the file's bytes, to be called at most once and before the next photograph is asked for, since the
            members of a TAR can be read only then. An InputError or OSError that it raises counts against this file
            alone.
    """

    name: str
    read: Callable[[], bytes]


def find_photos(paths: Iterable[Path]) -> Iterator[SourcePhoto]:
    """All that may be photographs under some paths, in an order that depends on names alone.

    Of folders, searched to the bottom, the files count that are called like images or are archives; of archives, the
    members that are called like images. A file that is named itself always counts. An archive that turns out to be
    damaged ends with an entry of its own name whose `read` raises the ArchiveError.

    Raises:
        InputError: no_such_path.
    """
    for path in paths:
        if path.is_dir():
            for file in sorted(file for file in path.rglob("*") if file.is_file()):
                if not is_system_file(file.relative_to(path).as_posix()):
                    yield from _photos_of_file(file, is_named=False)
        elif path.is_file():
            yield from _photos_of_file(path, is_named=True)
        else:
            raise InputError("no_such_path", f"There is no file or folder {path}.")


def _photos_of_file(path: Path, is_named: bool) -> Iterator[SourcePhoto]:
    if path.suffix.lower() in codec.IMAGE_SUFFIXES:
        yield SourcePhoto(str(path), path.read_bytes)
        return
    with path.open("rb") as stream:
        if archive_kind(stream, path.name) in ("zip", "tar"):
            yield from _photos_of_archive(path, walk(stream, path.name, ARCHIVE_LIMITS))
        elif is_named:
            yield SourcePhoto(str(path), path.read_bytes)


def _photos_of_archive(path: Path, members: Iterator[Member]) -> Iterator[SourcePhoto]:
    try:
        for member in members:
            suffix = Path(member.path).suffix.lower()
            if suffix in codec.IMAGE_SUFFIXES and not is_system_file(member.path):
                yield SourcePhoto(f"{path}/{member.path}", _reader(member))
    except InputError as error:
        yield SourcePhoto(str(path), _raiser(error))


def _reader(member: Member) -> Callable[[], bytes]:
    def read() -> bytes:
        with member.open() as stream:
            return stream.read()

    return read


def _raiser(error: InputError) -> Callable[[], bytes]:
    def read() -> bytes:
        raise error

    return read


def decode_photo(content: bytes) -> NDArray[np.uint8]:
    """A photograph's first picture as it is seen: uint8 (H, W, 3) in sRGB, upright.

    Raises:
        ImageError: as codec.decode says.
    """
    page = codec.decode(io.BytesIO(content), IMAGE_LIMITS).first
    samples = to_8_bit(page.tone.srgb(page.samples))
    rgb = samples if samples.ndim == 3 else np.repeat(samples[..., None], 3, axis=2)
    seen: NDArray[np.uint8] = np.ascontiguousarray(upright(rgb, page.metadata.orientation), np.uint8)
    return seen
