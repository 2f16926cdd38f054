"""PNG files: chunks by hand, so that every one that may stay is carried over as it is; pixels by libpng (imagecodecs).

Pillow is not used for the pixels because it reads and writes 16-bit color as 8-bit.
Source: Portable Network Graphics, third edition (W3C).
"""

import struct
import zlib
from collections.abc import Sequence
from typing import BinaryIO

import imagecodecs
import numpy as np

from core.errors import ImageError
from core.imaging import metadata as meta
from core.imaging.arrays import Samples
from core.imaging.metadata import Metadata
from core.imaging.scan import ImageLimits, Page, Probe, Scan

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COMPRESSION_LEVEL = 3
KEPT = frozenset({b"gAMA", b"cHRM", b"sRGB", b"tIME"})
MAX_CHUNK_BYTES = 64 * 2**20
MAX_PROFILE_BYTES = 16 * 2**20
ANIMATION_LOSS = "the further frames of an animation"
METERS_PER_INCH = 0.0254


def _truncated() -> ImageError:
    return ImageError("truncated_image", "The PNG ends before its picture does.")


def read_header(stream: BinaryIO) -> tuple[int, int, int]:
    """Width, height and bits per sample. Raises ImageError(truncated_image | unreadable_image)."""
    stream.seek(len(SIGNATURE))
    head = stream.read(25)
    if len(head) < 25:
        raise _truncated()
    if head[4:8] != b"IHDR":
        raise ImageError("unreadable_image", "The PNG does not begin with its header.")
    width, height, bits = struct.unpack_from(">IIB", head, 8)
    return width, height, bits


def read_chunks(stream: BinaryIO) -> list[tuple[bytes, bytes]]:
    """All chunks but the pixels' and the header's. Raises ImageError(truncated_image) where IEND is missing."""
    stream.seek(len(SIGNATURE))
    chunks: list[tuple[bytes, bytes]] = []
    while True:
        head = stream.read(8)
        if len(head) < 8:
            raise _truncated()
        size, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return chunks
        if kind in (b"IHDR", b"IDAT", b"fdAT") or size > MAX_CHUNK_BYTES:
            stream.seek(size + 4, 1)
            continue
        data = stream.read(size)
        stream.seek(4, 1)
        if len(data) < size:
            raise _truncated()
        chunks.append((kind, data))


def probe(stream: BinaryIO, limits: ImageLimits) -> Probe:
    """Check the header. Raises ImageError as codec.probe says."""
    width, height, bits = read_header(stream)
    limits.check_pixels(width * height)
    return Probe.of("PNG", width, height, 16 if bits == 16 else 8)


def decode(stream: BinaryIO, limits: ImageLimits) -> Scan:
    """Decode. Raises ImageError as codec.decode says."""
    probe(stream, limits)
    chunks = read_chunks(stream)
    metadata = read_metadata(chunks)
    losses = meta.profile_losses(metadata.icc_profile)
    if any(kind == b"acTL" for kind, _ in chunks):
        losses += (ANIMATION_LOSS,)
    stream.seek(0)
    try:
        samples = imagecodecs.png_decode(stream.read())
    except (imagecodecs.PngError, ValueError) as error:
        raise _refusal(str(error)) from error
    return Scan("PNG", (_page(samples, metadata),), losses)


def _refusal(reason: str) -> ImageError:
    if "too small" in reason or "Not enough" in reason or "truncated" in reason:
        return _truncated()
    return ImageError("unreadable_image", f"The PNG is damaged: {reason}.")


def _page(samples: Samples, metadata: Metadata) -> Page:
    if samples.ndim == 2:
        return Page(samples, None, metadata)
    channels = samples.shape[2]
    alpha = samples[..., -1].copy() if channels in (2, 4) else None
    color = samples[..., 0] if channels <= 2 else samples[..., :3]
    return Page(color.copy() if alpha is not None else color, alpha, metadata)


def read_metadata(chunks: list[tuple[bytes, bytes]]) -> Metadata:
    """Gather what a PNG carries beside its pixels."""
    found = dict(chunks)
    return Metadata(
        orientation=meta.exif_orientation(found.get(b"eXIf", b"")),
        icc_profile=_inflate_profile(found.get(b"iCCP")),
        dpi=_dpi(found.get(b"pHYs")),
        chunks=tuple(chunk for chunk in chunks if _may_stay(chunk[0])),
    )


def _may_stay(kind: bytes) -> bool:
    # Bit 5 of the fourth letter marks a chunk that does not depend on the pixels (section 5.4).
    return kind in KEPT or bool(kind[3] & 0x20)


def _inflate_profile(chunk: bytes | None) -> bytes | None:
    if chunk is None:
        return None
    _, _, rest = chunk.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(rest[1:], MAX_PROFILE_BYTES) or None
    except zlib.error:
        return None


def _dpi(chunk: bytes | None) -> tuple[float, float] | None:
    if chunk is None or len(chunk) != 9 or chunk[8] != 1:
        return None
    across, down = struct.unpack_from(">II", chunk)
    return across * METERS_PER_INCH, down * METERS_PER_INCH


def encode(pages: Sequence[Samples], scan: Scan) -> bytes:
    """A PNG of the same bit depth, with the original's alpha and chunks."""
    page = scan.first
    pixels = pages[0] if page.alpha is None else np.dstack((pages[0], page.alpha))
    coded = bytes(imagecodecs.png_encode(pixels, level=COMPRESSION_LEVEL))
    chunks = list(page.metadata.chunks)
    profile = meta.result_profile(page.metadata.icc_profile)
    if profile is not None:
        chunks = [chunk for chunk in chunks if chunk[0] != b"sRGB"]
        chunks.insert(0, (b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)))
    end_of_header = len(SIGNATURE) + 25
    return coded[:end_of_header] + b"".join(_chunk(*chunk) for chunk in chunks) + coded[end_of_header:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
