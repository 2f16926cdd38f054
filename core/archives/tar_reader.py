"""The walk over a TAR, plain or compressed: one entry after the other, forward only."""

from collections.abc import Iterator
from typing import BinaryIO

from core.archives.members import ArchiveLimits, Member, clean_path, display_path
from core.archives.streams import FREE_BYTES, BrokenStreamError, Budget, member_stream
from core.archives.tape import PackedTape, PlainTape, Tape, TapeData, unpacker_for
from core.archives.tar_headers import TarEntry, read_entry
from core.archives.tar_sparse import SparseReader
from core.errors import ArchiveError, MemberError


def walk_tar(stream: BinaryIO, limits: ArchiveLimits) -> Iterator[Member]:
    """Yield the members of a TAR in its order; see `core.archives.walk`."""
    unpacker = unpacker_for(stream)
    tape: Tape = PackedTape(unpacker, limits) if unpacker else PlainTape(stream)
    try:
        yield from members(tape, limits)
    except BrokenStreamError as error:
        message = f"the archive is damaged or was cut off: {error}"
        raise ArchiveError("broken_archive", message) from error


def members(tape: Tape, limits: ArchiveLimits) -> Iterator[Member]:
    """Yield the members on a tape. Raises BrokenStreamError, ArchiveError."""
    budget = Budget(limits)
    index = entries = 0
    while (entry := read_entry(tape)) is not None:
        entries += 1
        if entries > limits.max_entries:
            raise ArchiveError("too_many_entries", f"the archive has more than {limits.max_entries} entries")
        data = TapeData(tape, display_path(entry.name), entry.tape_bytes)
        if entry.kind != "folder":
            yield member_from(index, entry, data, limits, budget)
            index += 1
        data.pass_over()


def member_from(index: int, entry: TarEntry, data: TapeData, limits: ArchiveLimits, budget: Budget) -> Member:
    """Return the member of an entry, refused where it is no plain file that fits the limits."""
    opened = False

    def opener() -> BinaryIO:
        nonlocal opened
        if opened:
            raise ValueError(f"{path}: a member of a TAR can be opened only once")
        opened = True
        pull = SparseReader(data.read, entry.sparse).read if entry.sparse else data.read
        return member_stream(path, pull, limits, budget)

    try:
        path, error = clean_path(entry.name, limits.max_path_depth), None
        check_entry(path, entry, limits)
    except MemberError as refused:
        path, error = display_path(entry.name), refused
    return Member(index, path, entry.size_bytes, error, opener)


def check_entry(path: str, entry: TarEntry, limits: ArchiveLimits) -> None:
    """Refuse what is no plain readable file.

    Raises:
        MemberError: link, device, entry_too_large, ratio_too_high, damaged_entry.
    """
    if entry.kind == "link":
        raise MemberError("link", f"{path}: is a link, not a file")
    if entry.kind == "device":
        raise MemberError("device", f"{path}: is a device or another special entry, not a file")
    if entry.problem:
        raise MemberError("damaged_entry", f"{path}: {entry.problem}")
    if entry.size_bytes > limits.max_entry_bytes:
        raise MemberError("entry_too_large", f"{path}: is larger than the limit on one file")
    if entry.sparse and entry.size_bytes > max(FREE_BYTES, limits.max_entry_ratio * entry.tape_bytes):
        raise MemberError("ratio_too_high", f"{path}: unpacks to suspiciously many times its packed size")
    if entry.name.endswith("/"):
        raise MemberError("damaged_entry", f"{path}: is named like a folder but holds data")
