"""One entry of a TAR from its header blocks: V7, ustar, GNU and PAX.

Layouts after POSIX.1-2017 (pax) and the GNU tar manual.
"""

from dataclasses import dataclass, field
from typing import Literal

from core.archives.streams import BrokenStreamError
from core.archives.tape import BLOCK_BYTES, Tape, read_exactly
from core.archives.tar_sparse import (
    BadMapError,
    SparseMap,
    decimal,
    numbers_from_data,
    numbers_from_pax,
    sparse_map,
)

Kind = Literal["file", "folder", "link", "device"]
KINDS: dict[bytes, Kind] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"S": "file",
    b"1": "link",
    b"2": "link",
    b"5": "folder",
    b"D": "folder",
    b"V": "folder",
}
"""GNU's D is a folder with a list of its files, and V the archive's label: no members. Any other is a device."""

MAX_EXTENSION_BYTES = 1024 * 1024
MAX_EXTENSIONS = 16
PAX_KEYS = ("path", "size")
ZERO_BLOCK = bytes(BLOCK_BYTES)


@dataclass(frozen=True)
class TarEntry:
    """What the headers say of one entry.

    Attributes:
        size_bytes: the file's size; tape_bytes: those that follow on the tape, which differ for links and sparse files.
        problem: why the entry cannot be read although it can be passed over, or ''.
    """

    name: str
    kind: Kind
    size_bytes: int
    tape_bytes: int
    sparse: SparseMap | None = None
    problem: str = ""


@dataclass
class Extensions:
    """What the extension headers before an entry's own say of it."""

    long_name: bytes | None = None
    pax: list[tuple[str, bytes]] = field(default_factory=list)
    problem: str = ""

    def value(self, *keys: str) -> bytes | None:
        """Return the last PAX value of the first key that is there."""
        for wanted in keys:
            for key, value in reversed(self.pax):
                if key == wanted:
                    return value
        return None


def read_entry(tape: Tape) -> TarEntry | None:
    """Read the next entry's headers; None at the end of the archive.

    Archives that were simply put one behind the other are read through. After the end mark anything but a header is
    ignored, but a compressed stream is read to its end, so that damage is noticed.

    Raises:
        BrokenStreamError: a damaged header, or the archive ends without its end mark: it may have been cut off.
        ArchiveError: from the tape.
    """
    extensions = Extensions()
    block = next_header(tape)
    for _ in range(MAX_EXTENSIONS):
        if block is None:
            return None
        size = tape_size(block)
        if not take_extension(tape, block, size, extensions):
            return entry_from(tape, block, size, extensions)
        block = read_exactly(tape, BLOCK_BYTES)
        if not is_header(block):
            raise BrokenStreamError("a header is damaged or missing")
    raise BrokenStreamError("too many extension headers before one entry")


def next_header(tape: Tape) -> bytes | None:
    """Return the next entry's first header block, or None at the end of the archive."""
    block = read_exactly(tape, BLOCK_BYTES)
    if is_header(block):
        return block
    if block != ZERO_BLOCK:
        raise BrokenStreamError("a header is damaged or missing" if block else "the end mark is missing")
    while block == ZERO_BLOCK:
        block = read_exactly(tape, BLOCK_BYTES)
    if is_header(block):
        return block
    tape.drain()
    return None


def is_header(block: bytes) -> bool:
    """Tell whether a block is a TAR header, by its checksum (some old programs summed signed characters)."""
    if len(block) != BLOCK_BYTES or block == ZERO_BLOCK:
        return False
    try:
        claimed = number(block[148:156])
    except BrokenStreamError:
        return False
    summed = block[:148] + b" " * 8 + block[156:]
    unsigned = sum(summed)
    return claimed in (unsigned, unsigned - 256 * sum(byte > 127 for byte in summed))


def number(raw: bytes) -> int:
    """Return a header's number: octal digits, or GNU's base 256. Raises BrokenStreamError."""
    if raw[0] == 0x80:
        return int.from_bytes(raw[1:], "big")
    digits = raw.split(b"\0", 1)[0].strip()
    if digits.strip(b"01234567"):
        raise BrokenStreamError("a number in a header is damaged")
    return int(digits or b"0", 8)


def tape_size(block: bytes) -> int:
    """Return the size a header claims. Raises BrokenStreamError."""
    return number(block[124:136])


def take_extension(tape: Tape, block: bytes, size: int, extensions: Extensions) -> bool:
    """Read an extension header into `extensions` and return True; return False for an entry's own header.

    One larger than a MiB is passed over, never held. Headers for the whole archive (g) say nothing we need, and a long
    link target (K) neither.
    """
    kind = block[156:157]
    if kind not in (b"L", b"K", b"x", b"X", b"g"):
        return False
    if kind in (b"K", b"g") or size > MAX_EXTENSION_BYTES:
        tape.skip(size + -size % BLOCK_BYTES)
        if kind in (b"L", b"x", b"X"):
            extensions.problem = "its extended header is too large"
        return True
    payload = read_exactly(tape, size)
    tape.skip(-size % BLOCK_BYTES)
    if len(payload) < size:
        raise BrokenStreamError("the archive ends inside a header")
    if kind == b"L":
        extensions.long_name = payload.split(b"\0", 1)[0]
    else:
        extensions.pax, complete = pax_records(payload)
        extensions.problem = extensions.problem or ("" if complete else "its extended header is damaged")
    return True


def pax_records(payload: bytes) -> tuple[list[tuple[str, bytes]], bool]:
    """Return the records of use here, and whether the whole payload was well formed ("length key=value\\n" each)."""
    records: list[tuple[str, bytes]] = []
    position = 0
    while position < len(payload):
        length, space, _ = payload[position : position + 9].partition(b" ")
        end = position + int(length) if length.isdigit() else position
        record = payload[position + len(length) + 1 : end]
        key, equals, value = record.partition(b"=")
        if not space or end > len(payload) or not equals or not value.endswith(b"\n"):
            return records, not payload[position:].strip(b"\0")
        name = key.decode("latin-1")
        if name in PAX_KEYS or name.startswith("GNU.sparse."):
            records.append((name, value[:-1]))
        position = end
    return records, True


def entry_from(tape: Tape, block: bytes, size: int, extensions: Extensions) -> TarEntry:
    """Return the entry of a header block and its extensions; what a sparse file adds before its data is read."""
    problem = extensions.problem
    name = extensions.value("GNU.sparse.name", "path") or extensions.long_name or header_name(block)
    kind = KINDS.get(block[156:157], "device")
    if (claimed := extensions.value("size")) is not None:
        try:
            size = decimal(claimed)
        except BadMapError:
            problem = "its extended header is damaged"
    if kind == "file" and name.endswith(b"/") and size == 0:
        kind = "folder"
    # Links, devices and plain folders have nothing on the tape, whatever their header says; GNU tar and POSIX agree.
    if block[156:157] in (b"1", b"2", b"3", b"4", b"5", b"6"):
        size = 0
    entry = TarEntry(decode_name(name), kind, size, size, problem=problem)
    is_sparse = block[156:157] == b"S" or any(key.startswith("GNU.sparse.") for key, _ in extensions.pax)
    return with_sparse_map(tape, block, entry, extensions) if kind == "file" and is_sparse else entry


def with_sparse_map(tape: Tape, block: bytes, entry: TarEntry, extensions: Extensions) -> TarEntry:
    """Return a sparse file's entry with its map; with a problem where the map is bad."""
    used = 0
    real = 0

    def next_block() -> bytes:
        nonlocal used
        if used >= entry.tape_bytes:
            return b""
        used += BLOCK_BYTES
        return read_exactly(tape, BLOCK_BYTES)

    try:
        if block[156:157] == b"S":
            real, numbers = number(block[483:495]), old_gnu_numbers(tape, block)
        else:
            real = decimal(extensions.value("GNU.sparse.realsize", "GNU.sparse.size") or b"")
            in_data = extensions.value("GNU.sparse.major") == b"1"
            numbers = numbers_from_data(next_block) if in_data else numbers_from_pax(extensions.pax)
        stored = max(0, entry.tape_bytes - used)
        layout, problem = sparse_map(numbers, real, stored), entry.problem
    except BadMapError:
        layout, problem = None, "the map of its holes is damaged"
    return TarEntry(entry.name, entry.kind, real, max(0, entry.tape_bytes - used), layout, problem)


def old_gnu_numbers(tape: Tape, block: bytes) -> list[int]:
    """Return the map of an old GNU sparse header, 4 stretches in it and 21 in each block that follows."""
    numbers = header_numbers(block[386:482])
    more = block[482]
    blocks = 0
    while more:
        block = read_exactly(tape, BLOCK_BYTES)
        blocks += 1
        if len(block) < BLOCK_BYTES or blocks * BLOCK_BYTES > MAX_EXTENSION_BYTES:
            raise BrokenStreamError("the map of a sparse file is cut off or too long")
        numbers += header_numbers(block[:504])
        more = block[504]
    return numbers


def header_numbers(raw: bytes) -> list[int]:
    """Return the numbers in fields of 12 bytes, up to the first empty one."""
    fields = [raw[start : start + 12] for start in range(0, len(raw), 12)]
    count = next((index for index, text in enumerate(fields) if text[0] == 0), len(fields))
    return [number(text) for text in fields[:count]]


def header_name(block: bytes) -> bytes:
    """Return the name in a header; in a POSIX one it may continue in front. (GNU's keeps times in that place.)"""
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0]
    is_posix = block[257:262] == b"ustar" and block[257:265] != b"ustar  \0"
    return prefix + b"/" + name if is_posix and prefix else name


def decode_name(raw: bytes) -> str:
    """Return a name as UTF-8, and otherwise as Latin-1: TAR does not say, and so no two names become one."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
