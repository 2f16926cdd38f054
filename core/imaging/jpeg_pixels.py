"""Pixels of JPEG files, by libjpeg-turbo (imagecodecs)."""

import re
import struct
from collections.abc import Sequence
from typing import BinaryIO

import imagecodecs

from core.errors import ImageError
from core.imaging.arrays import Samples
from core.imaging.jpeg_segments import APP0, JFIF, SOS, Header, Segment, serialize
from core.imaging.output import ColorPage
from core.imaging.pieces import pieces

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")

BASELINE, RESTART_INTERVAL, FIRST_RESTART = 0xC0, 0xDD, 0xD0
BLOCK = 8
BAND_PIXELS = 1 << 22
MAX_RESTART_INTERVAL = 65535
MAX_SIDE = 65500


def read_samples(stream: BinaryIO, header: Header) -> Samples:
    """Decode the picture: uint8 (H, W), (H, W, 3) or, of four components, (H, W, 4) CMYK.

    Raises ImageError(truncated_image | unreadable_image).
    """
    start = stream.tell()
    stream.seek(0)
    content = stream.read()
    check_end(content, start)
    try:
        samples: Samples = imagecodecs.jpeg8_decode(content)
    except (imagecodecs.Jpeg8Error, ValueError) as error:
        raise ImageError("unreadable_image", f"The JPEG is damaged: {str(error)[:200]}.") from error
    if samples.shape[:2] != (header.height, header.width):
        raise ImageError("unreadable_image", "The JPEG's picture has another size than its header says.")
    return samples


def check_end(content: bytes, start: int) -> None:
    """Refuse a picture without its end marker: libjpeg fills what is missing with gray and tells nobody.

    Args:
        content: the whole file.
        start: where the first scan's header begins, behind its marker.
    """
    while start + 2 <= len(content):
        start += int.from_bytes(content[start : start + 2])
        found = _MARKER.search(content, start)
        if found is None:
            break
        if found[0] == b"\xff\xd9":
            return
        start = found.end()
    raise ImageError("truncated_image", "The JPEG ends before its picture does.")


def write_pixels(page: ColorPage, quality: int, segments: Sequence[Segment], stream: BinaryIO) -> None:
    """Write a JPEG with some segments, 4:4:4, by bands of rows with restart markers between them.

    libjpeg codes each band as a picture of its own. A restart marker makes a decoder begin anew just as it does at a
    picture's beginning, so that the bands can be strung together, and no more than one is in memory.
    """
    if max(page.width, page.height) > MAX_SIDE:
        message = f"A JPEG holds at most {MAX_SIDE:,} pixels a side; choose another format for the results."
        raise ImageError("too_large_for_format", message)
    columns = -(-page.width // BLOCK)
    block_rows = max(1, min(BAND_PIXELS // (columns * BLOCK * BLOCK), MAX_RESTART_INTERVAL // columns))
    for number, piece in enumerate(pieces(page, None, block_rows * BLOCK)):
        coded = memoryview(imagecodecs.jpeg8_encode(piece, level=quality, subsampling="444"))
        tables, scan = _tables_of(coded)
        if number == 0:
            interval = block_rows * columns if page.height > len(piece) else 0
            stream.write(_head(tables, page.height, interval, segments))
        else:
            stream.write(bytes((0xFF, FIRST_RESTART + (number - 1) % 8)))
        stream.write(coded[scan:-2])
    stream.write(b"\xff\xd9")


def _tables_of(coded: memoryview) -> tuple[list[Segment], int]:
    """The segments of a picture that libjpeg has coded, up to its scan's header, and where the scan's data begin."""
    found: list[Segment] = []
    place = 2
    while not found or found[-1][0] != SOS:
        size = int.from_bytes(coded[place + 2 : place + 4])
        found.append((coded[place + 1], bytes(coded[place + 4 : place + 2 + size])))
        place += 2 + size
    return found, place


def _head(tables: list[Segment], height: int, restart_interval: int, segments: Sequence[Segment]) -> bytes:
    """All that stands before the data of a picture of some height."""
    has_jfif = any(marker == APP0 and payload.startswith(JFIF) for marker, payload in segments)
    jfif = [] if has_jfif else [table for table in tables if table[0] == APP0]
    *coding, scan = (table for table in tables if table[0] != APP0)
    coding = [(m, p[:1] + struct.pack(">H", height) + p[3:] if m == BASELINE else p) for m, p in coding]
    restarts = [(RESTART_INTERVAL, struct.pack(">H", restart_interval))] if restart_interval else []
    return b"\xff\xd8" + serialize([*jfif, *segments, *coding, *restarts, scan])
