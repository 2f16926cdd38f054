"""Where results go: paths that never collide, and the ZIP that is made while it is sent."""

import re
import unicodedata
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import BinaryIO

from zipstream import ZIP_STORED, ZipStream

from core.archives.manifests import ManifestRow, manifest_csv, manifest_jsonl
from core.errors import StorageError

ResultEntry = tuple[str, int | None, Callable[[], BinaryIO]]
"""Path in the ZIP, size in bytes if known, and what opens the file when its turn comes."""

PIECE_BYTES = 256 * 1024
MANIFEST_CSV = "manifest.csv"
MANIFEST_JSONL = "manifest.jsonl"


def path_key(path: str) -> str:
    """Return what paths share that some system takes for one: case, Unicode form and kind of slash put aside."""
    folded = unicodedata.normalize("NFD", path).casefold()
    return unicodedata.normalize("NFC", folded).replace("\\", "/")


def taken_keys(paths: Iterable[str]) -> set[str]:
    """Return the keys that result paths take, to go on with `unique_result_path` from what the database holds.

    They are the `path_key` of each file and, with a slash at the end, of each folder above it; and of the manifests.
    """
    taken = {MANIFEST_CSV, MANIFEST_JSONL}
    for path in paths:
        take(path_key(path), taken)
    return taken


def take(key: str, taken: set[str]) -> None:
    """Add the keys of a file and of the folders above it."""
    taken.add(key)
    slash = key.rfind("/")
    while slash > 0 and key[: slash + 1] not in taken:
        taken.add(key[: slash + 1])
        slash = key.rfind("/", 0, slash)


def unique_result_path(wanted: str, taken: set[str]) -> str:
    """Return `wanted`, or the like of it that collides with nothing taken so far, and take it.

    A file's name gets " (2)", " (3)", ... before its suffix. Where one of its folders is the path of another result,
    the folder gets it at its end, the same for all files in it. The number is found by doubling and halving, so that
    thousands of equal names cost little; where numbers are taken already, it need not be the smallest that is free.

    Args:
        wanted: relative, forward slashes, at least a name.
        taken: keys from `taken_keys`; this path's are added.
    """
    # A backslash is kept as it is, but to a reader on Windows it ends a folder's name just as a slash does.
    *folders, name = re.split(r"(?<=[/\\])", wanted)
    above = ""
    for folder in folders:
        above += free_name(above, folder[:-1], "", lambda key: key not in taken) + folder[-1]
    stem, dot, suffix = name.rpartition(".")
    stem, suffix = (stem, dot + suffix) if stem.strip(".") else (name, "")
    path = above + free_name(above, stem, suffix, lambda key: key not in taken and key + "/" not in taken)
    take(path_key(path), taken)
    return path


def free_name(above: str, stem: str, suffix: str, is_free: Callable[[str], bool]) -> str:
    """Return stem + suffix, or with a number between them, such that its key below `above` is free."""

    def numbered(number: int) -> str:
        return f"{stem} ({number}){suffix}" if number > 1 else stem + suffix

    def free(number: int) -> bool:
        return is_free(path_key(above + numbered(number)))

    if free(1):
        return numbered(1)
    low, high = 1, 2
    while not free(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if free(middle) else (middle, high)
    return numbered(high)


def stream_zip(
    entries: Iterable[ResultEntry], rows: Callable[[], Iterable[ManifestRow]]
) -> Generator[bytes, None, None]:
    """Yield a ZIP of the entries, then manifest.csv and manifest.jsonl, in pieces and without knowing its size ahead.

    Photographs are stored as they are, since they are packed already. Nothing is opened before its turn, one file is
    open at a time, and closing the generator closes it. ZIP64 where needed; names are UTF-8.

    Args:
        entries: asked for one by one; paths unique, best from `unique_result_path`.
        rows: called twice, after the last entry, once for each manifest.

    Raises:
        StorageError: result_changed, a file has another size than its entry says.
        Exception: whatever opening or reading a file raises. The stream then stops without a directory at its end,
            so that the receiver sees a broken transfer and no program takes the part for the whole; the web must let
            the error end the connection.
    """
    archive = ZipStream(compress_type=ZIP_STORED)
    for path, size, open_file in entries:
        yield from add_file(archive, path, size, file_pieces(path, size, open_file))
    yield from add_file(archive, MANIFEST_CSV, None, manifest_csv(rows()))
    yield from add_file(archive, MANIFEST_JSONL, None, manifest_jsonl(rows()))
    yield from archive.footer()


def add_file(archive: ZipStream, path: str, size: int | None, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the ZIP's bytes for one file, and close what it is read from in any case."""
    try:
        archive.add(pieces, path, size=size)
        yield from archive.file()
    finally:
        if isinstance(pieces, Generator):
            pieces.close()


def file_pieces(path: str, size: int | None, open_file: Callable[[], BinaryIO]) -> Iterator[bytes]:
    """Yield a file's bytes; opened when the first are asked for. Raises StorageError where its size is another."""
    count = 0
    with closing(open_file()) as file:
        while piece := file.read(PIECE_BYTES):
            count += len(piece)
            yield piece
    if size is not None and count != size:
        raise StorageError("result_changed", f"{path}: has {count} bytes in the storage, not {size}")
