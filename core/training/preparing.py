"""Decoding and filtering photographs once, into one file that training reads without any decoding."""

import hashlib
import json
import os
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError, StateError
from core.machine import fsync, usable_cores
from core.training.filtering import Duplicates, Judgment, fingerprint_of, judge
from core.training.resampling import shrunk
from core.training.sources import SourcePhoto, decode_photo

PIXELS_NAME = "photos.bin"
INDEX_NAME = "index.json"
INDEX_FORMAT = 1
SAVE_EVERY_S = 20.0
"""So much work is lost at most when preparing is cut off."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Entry:
    """One source file and what became of it.

    Args:
        name: the source's.
        sha256: of its bytes; empty where they could not be read.
        code: why it was left out; empty where it is in the pack.
        fingerprint: as filtering.fingerprint_of says; empty where it was not decoded.
        height: rows in the pack.
        width: pixels per row in the pack.
    """

    name: str
    sha256: str
    code: str
    fingerprint: str = ""
    height: int = 0
    width: int = 0

    @property
    def size_bytes(self) -> int:
        """What it takes in the pack."""
        return self.height * self.width * 3


class PreparedPhotos:
    """Photographs as arrays in one memory-mapped file, in their sources' order. Threads and processes may share it.

    Args:
        folder: what build made.
        entries: of all sources, taken or not.
    """

    def __init__(self, folder: Path, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self._taken = [entry for entry in entries if not entry.code]
        sizes = np.array([entry.size_bytes for entry in self._taken], np.int64)
        self._offsets = np.concatenate(([0], np.cumsum(sizes)))
        # An empty file cannot be mapped.
        self._pixels: Pixels = np.memmap(folder / PIXELS_NAME, np.uint8, "r") if len(sizes) else np.empty(0, np.uint8)

    @classmethod
    def build(
        cls,
        folder: Path,
        photos: Iterable[SourcePhoto],
        edge_px: int,
        threads: int | None = None,
        filtered: bool = True,
        is_fixed: bool = False,
    ) -> "PreparedPhotos":
        """Decode photographs, leave out what is not worth training on, and shrink the others.

        What an earlier build, even one that was cut off, has of the same sources in the same order is not done again.

        Args:
            folder: of its own; made where there is none.
            photos: each is read before the next is asked for.
            edge_px: short side in pixels, to which larger ones are shrunk (means over areas).
            threads: that decode; None for one per core.
            filtered: False to take all that can be read, such as results that a person approved.
            is_fixed: whether a run has begun with what the folder holds; if that is whole it is not replaced.

        Raises:
            StateError: other_photographs; what the folder holds is fixed and was made of others, or in another way.
            OSError: the folder cannot be written.
            TransientError: a source's `read` raised it. What was done until then is kept for another try.
        """
        folder.mkdir(parents=True, exist_ok=True)
        packer = _Packer(folder, edge_px, filtered, is_fixed)
        packer.run(photos, threads or usable_cores())
        return cls(folder, tuple(packer.entries))

    def __len__(self) -> int:
        return len(self._taken)

    def rgb(self, number: int) -> Pixels:
        """A photograph, uint8 (H, W, 3) in sRGB; it cannot be written to."""
        entry, start = self._taken[number], self._offsets[number]
        return self._pixels[start : start + entry.size_bytes].reshape(entry.height, entry.width, 3)

    @property
    def names(self) -> list[str]:
        """Of the photographs taken."""
        return [entry.name for entry in self._taken]

    @property
    def counts(self) -> dict[str, int]:
        """How many were taken ("taken"), and how many left out by code: dull, gray, duplicate, unreadable_image, ..."""
        return {"taken": len(self), **Counter(entry.code for entry in self.entries if entry.code)}

    @property
    def sha256(self) -> str:
        """One hash for all the photographs taken: of the SHA-256 of their sources' bytes, in order."""
        return hashlib.sha256("".join(entry.sha256 for entry in self._taken).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class _Read:
    """A source's bytes, or why there are none."""

    name: str
    content: bytes
    sha256: str
    code: str = ""

    @classmethod
    def of(cls, photo: SourcePhoto) -> "_Read":
        try:
            content = photo.read()
        except InputError as error:
            return cls(photo.name, b"", "", error.code)
        except OSError:
            return cls(photo.name, b"", "", "unreadable")
        return cls(photo.name, content, hashlib.sha256(content).hexdigest())

    def is_of(self, entry: Entry) -> bool:
        """Whether that entry was made of it; under another name, as in a moved folder, a photograph is the same."""
        return self.sha256 == entry.sha256 and (bool(self.sha256) or self.code == entry.code)


@dataclass(frozen=True)
class _Index:
    """What was written down of a pack: how it was made, of what, and whether to the end."""

    settings: dict[str, Any]
    entries: list[Entry]
    is_complete: bool


class _Packer:
    """Appends photographs to the pack, and tells the index what of it is safely on the disk."""

    def __init__(self, folder: Path, edge_px: int, filtered: bool, is_fixed: bool) -> None:
        self.entries: list[Entry] = []
        self._folder = folder
        self._settings = {"format": INDEX_FORMAT, "edge_px": edge_px, "filtered": filtered}
        self._edge_px = edge_px
        self._filtered = filtered
        self._is_fixed = is_fixed
        self._duplicates = Duplicates()
        self._hashes: set[str] = set()

    def run(self, photos: Iterable[SourcePhoto], threads: int) -> None:
        index = self._index()
        is_alike = index.settings == self._settings
        known = index.entries if is_alike else []
        rest: Iterator[_Read] = (_Read.of(photo) for photo in photos)
        for read in rest:
            if len(self.entries) == len(known) or not read.is_of(known[len(self.entries)]):
                rest = chain([read], rest)
                break
            self._remember(known[len(self.entries)])
        else:
            if is_alike and index.is_complete and len(self.entries) == len(known):
                return
            rest = iter(())
        if self._is_fixed and index.is_complete:
            raise StateError("other_photographs", f"{self._folder} holds other photographs.")
        self._save(is_complete=False)
        with (self._folder / PIXELS_NAME).open("ab") as file:
            file.truncate(sum(entry.size_bytes for entry in self.entries))
            self._append(file, rest, threads)
            _sync(file)
        fsync(self._folder)
        self._save(is_complete=True)

    def _index(self) -> _Index:
        """What an earlier build left; nothing where it cannot be used, for whatever reason."""
        try:
            found = json.loads((self._folder / INDEX_NAME).read_bytes())
            entries = [Entry(*values) for values in found["entries"]]
            index = _Index(dict(found["settings"]), entries, bool(found["is_complete"]))
            size_bytes = (self._folder / PIXELS_NAME).stat().st_size
        except (OSError, ValueError, KeyError, TypeError):
            return _Index({}, [], False)
        if index.settings.get("format") != INDEX_FORMAT or size_bytes < sum(entry.size_bytes for entry in entries):
            return _Index({}, [], False)
        return index

    def _append(self, file: BinaryIO, reads: Iterable[_Read], threads: int) -> None:
        saved_at = time.monotonic()
        for entry, pixels in self._prepared(reads, threads):
            taken = self._judged(entry)
            if not taken.code:
                file.write(pixels.data)
            self._remember(taken)
            if time.monotonic() - saved_at > SAVE_EVERY_S:
                _sync(file)
                self._save(is_complete=False)
                saved_at = time.monotonic()

    def _prepared(self, reads: Iterable[_Read], threads: int) -> Iterator[tuple[Entry, Pixels]]:
        """Entries and pixels in the order of their sources, a few worked on ahead."""
        ahead: deque[Future[tuple[Entry, Pixels]]] = deque()
        with ThreadPoolExecutor(threads, "prepare") as pool:
            for read in reads:
                ahead.append(pool.submit(self._prepare, read))
                if len(ahead) > 2 * threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _prepare(self, read: _Read) -> tuple[Entry, Pixels]:
        nothing = np.empty((0, 0, 3), np.uint8)
        if read.code:
            return Entry(read.name, read.sha256, read.code), nothing
        try:
            rgb = decode_photo(read.content)
        except InputError as error:
            return Entry(read.name, read.sha256, error.code), nothing
        judgment = judge(rgb) if self._filtered else Judgment("", fingerprint_of(rgb), 0.0)
        if judgment.code:
            return Entry(read.name, read.sha256, judgment.code, judgment.fingerprint), nothing
        small = np.ascontiguousarray(shrunk(rgb, self._edge_px))
        return Entry(read.name, read.sha256, "", judgment.fingerprint, *small.shape[:2]), small

    def _judged(self, entry: Entry) -> Entry:
        """The entry, with what is against it beside the photographs that came before."""
        if entry.code or not self._filtered:
            return entry
        is_known = entry.sha256 in self._hashes or self._duplicates.has(entry.fingerprint)
        return Entry(entry.name, entry.sha256, "duplicate", entry.fingerprint) if is_known else entry

    def _remember(self, entry: Entry) -> None:
        self.entries.append(entry)
        if not entry.code:
            self._hashes.add(entry.sha256)
            self._duplicates.add(entry.fingerprint)

    def _save(self, is_complete: bool) -> None:
        """Write the index beside the old one, and put it in its place once it is on the disk."""
        index = {
            "settings": self._settings,
            "is_complete": is_complete,
            "entries": [astuple(entry) for entry in self.entries],
        }
        aside = self._folder / f"{INDEX_NAME}.new"
        aside.write_text(json.dumps(index, ensure_ascii=False))
        fsync(aside)
        aside.replace(self._folder / INDEX_NAME)
        fsync(self._folder)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
