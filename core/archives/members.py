"""One member of an untrusted archive: its limits, its path and how its bytes are had."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from core.errors import MemberError

MAX_PATH_BYTES = 4096
"""Longest accepted path in UTF-8 bytes: PATH_MAX on Linux, so every folder on a disk fits."""

DISPLAY_CHARACTERS = 240

DRIVE = re.compile(r"^[A-Za-z]:")
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

SYSTEM_FOLDERS = frozenset(
    {
        "__macosx",
        "@eadir",
        "@recycle",
        "#recycle",
        "$recycle.bin",
        ".appledouble",
        ".documentrevisions-v100",
        ".fseventsd",
        ".spotlight-v100",
        ".temporaryitems",
        ".trashes",
        "system volume information",
    }
)
SYSTEM_FILES = frozenset({".directory", ".ds_store", ".localized", "desktop.ini", "ehthumbs.db", "icon\r", "thumbs.db"})


@dataclass(frozen=True)
class ArchiveLimits:
    """How much one archive may hold; everything is counted while reading and nothing is believed.

    Attributes:
        max_entries: entries of any kind, folders included.
        max_total_bytes: unpacked bytes of all members that are read.
        max_entry_bytes: unpacked bytes of one member.
        max_entry_ratio: unpacked bytes per packed byte, looked at once there is more than a MiB of them
            (per entry of a ZIP; over the whole stream of a compressed TAR).
        max_path_depth: parts of a path, the file name included.
    """

    max_entries: int
    max_total_bytes: int
    max_entry_bytes: int
    max_entry_ratio: int
    max_path_depth: int


@dataclass(frozen=True)
class Member:
    """One file in an archive, or what stands in its place.

    Attributes:
        index: 0-based, in the archive's order; a second walk gives the same.
        path: relative, forward slashes, characters as the archive has them; of a refused member a harmless form.
        size_bytes: what the archive claims, or None; never to be trusted.
        error: why it is refused, or None. Codes: path_escapes, path_too_deep, link, device, encrypted,
            unsupported_compression, entry_too_large, damaged_entry.
    """

    index: int
    path: str
    size_bytes: int | None
    error: MemberError | None
    opener: Callable[[], BinaryIO] = field(repr=False, compare=False)

    def open(self) -> BinaryIO:
        """Return the member's bytes as a stream that counts them while they are read.

        A member of a TAR can be opened once, and read only until the walk is asked for the next one.

        Raises:
            MemberError: the member is refused. `read` on the stream raises it too: entry_too_large, ratio_too_high
                or damaged_entry (also: a member of a TAR that is read too late). The bytes had until then are not
                the member's and must be thrown away.
            ArchiveError: from `read`: archive_too_large, when the limit on all members together is passed.
        """
        if self.error is not None:
            raise MemberError(self.error.code, self.error.message)
        return self.opener()


def is_system_file(path: str) -> bool:
    """Tell whether a path is what systems leave beside photographs: __MACOSX, Thumbs.db, ._x and the like."""
    *folders, name = path.lower().split("/")
    return name.startswith("._") or name in SYSTEM_FILES or not SYSTEM_FOLDERS.isdisjoint([*folders, name])


def clean_path(raw: str, max_depth: int) -> str:
    """Return an archive's path as a relative one with forward slashes, or refuse it.

    Only empty and '.' parts are dropped; no other character is changed. A backslash is an ordinary character of a name
    here (the ZIP reader has already turned those of Windows-made archives into slashes), but the path must be harmless
    to a reader that takes it for a separator too.

    Raises:
        MemberError: path_escapes (absolute, drive letter, '..', NUL, no name) or path_too_deep (also: too long).
    """
    shown = display_path(raw)
    parts = [part for part in raw.split("/") if part not in ("", ".")]
    if "\0" in raw or raw.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", raw) or not parts:
        raise MemberError("path_escapes", f"{shown}: its path does not stay inside the archive")
    path = "/".join(parts)
    if DRIVE.match(path) or path.startswith("\\"):
        raise MemberError("path_escapes", f"{shown}: its path does not stay inside the archive")
    if len(re.split(r"[/\\]", path)) > max_depth or len(path.encode("utf-8")) > MAX_PATH_BYTES:
        raise MemberError("path_too_deep", f"{shown}: its path is nested too deep or is too long")
    return path


def display_path(raw: str) -> str:
    """Return a harmless, short, relative form of any path, for lists of what was refused."""
    parts = [part for part in re.split(r"[/\\]", UNPRINTABLE.sub("\ufffd", raw)) if part not in ("", ".")]
    path = "/".join("__" if part == ".." else part for part in parts)
    path = DRIVE.sub(lambda drive: drive[0][0] + "_", path) or "(no name)"
    return path if len(path) <= DISPLAY_CHARACTERS else "…" + path[1 - DISPLAY_CHARACTERS :]
