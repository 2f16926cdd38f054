"""JPEG files: segments by hand, so that every one that may stay is carried over as it is; pixels by Pillow.

Source: ITU-T T.81 annex B, JFIF 1.02, EXIF 2.32 section 4.7, CIPA DC-007 (MPO).
"""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from core.errors import ImageError
from core.imaging import metadata as meta
from core.imaging.arrays import Samples
from core.imaging.metadata import Metadata
from core.imaging.scan import ImageLimits, Page, Probe, Scan

QUALITY = 95

EOI, SOS, COM = 0xD9, 0xDA, 0xFE
APP0, APP1, APP2, APP14, APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
LOSSLESS_FRAMES = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})

EXIF = b"Exif\0\0"
ICC = b"ICC_PROFILE\0"
JFIF = b"JFIF\0"
MPF = b"MPF\0"
ICC_PART_BYTES = 65519
MAX_HEADER_BYTES = 64 * 2**20
MPO_LOSS = "the further pictures of a multi-picture file"


@dataclass(frozen=True)
class Header:
    """What stands before a JPEG's first scan: its frame and its APPn and COM segments."""

    frame: int
    precision: int
    width: int
    height: int
    components: int
    segments: tuple[tuple[int, bytes], ...]


def read_header(stream: BinaryIO) -> Header:
    """Read the segments up to the first scan.

    Raises ImageError(truncated_image) when the file ends before, ImageError(unreadable_image) where it is no JPEG.
    """
    stream.seek(2)
    frame: tuple[int, bytes] | None = None
    segments = []
    while (marker := _next_marker(stream)) != SOS:
        payload = _read_payload(stream)
        if marker in FRAMES:
            frame = (marker, payload)
        elif APP0 <= marker <= APP15 or marker == COM:
            segments.append((marker, payload))
        if stream.tell() > MAX_HEADER_BYTES:
            raise ImageError("unreadable_image", "The JPEG's header is larger than any real one.")
    if frame is None or len(frame[1]) < 6:
        raise ImageError("unreadable_image", "The JPEG does not say how large it is.")
    precision, height, width, components = struct.unpack_from(">BHHB", frame[1])
    return Header(frame[0], precision, width, height, components, tuple(segments))


def _next_marker(stream: BinaryIO) -> int:
    while True:
        byte = stream.read(1)
        while byte and byte != b"\xff":
            byte = stream.read(1)
        while byte == b"\xff":
            byte = stream.read(1)
        if not byte or byte[0] == EOI:
            raise ImageError("truncated_image", "The JPEG ends before its picture begins.")
        if byte[0] != 0 and byte[0] not in STANDALONE:
            return byte[0]


def _read_payload(stream: BinaryIO) -> bytes:
    head = stream.read(2)
    size = int.from_bytes(head) - 2
    payload = stream.read(max(size, 0))
    if len(head) < 2 or len(payload) < size:
        raise ImageError("truncated_image", "The JPEG ends before its picture begins.")
    return payload


def probe(stream: BinaryIO, limits: ImageLimits) -> Probe:
    """Check the header. Raises ImageError as codec.probe says."""
    header = read_header(stream)
    limits.check_pixels(header.width * header.height)
    if header.precision != 8 or header.frame in LOSSLESS_FRAMES:
        message = f"JPEG with {header.precision} bits per sample or lossless coding is not accepted."
        raise ImageError("unsupported_format", message)
    if header.components not in (1, 3):
        raise ImageError("unsupported_format", "JPEG in CMYK is not accepted yet; convert it to RGB or gray.")
    return Probe.of("JPEG", header.width, header.height, 8)


def decode(stream: BinaryIO, limits: ImageLimits) -> Scan:
    """Decode. Raises ImageError as codec.decode says."""
    probe(stream, limits)
    header = read_header(stream)
    metadata = read_metadata(header)
    losses = meta.profile_losses(metadata.icc_profile)
    if any(marker == APP2 and payload.startswith(MPF) for marker, payload in header.segments):
        losses += (MPO_LOSS,)
    if any(_cut_thumbnail(segment) != segment for segment in header.segments):
        losses += (meta.THUMBNAIL_LOSS,)
    return Scan("JPEG", (Page(_read_samples(stream), None, metadata),), losses)


def _read_samples(stream: BinaryIO) -> Samples:
    stream.seek(0)
    with Image.open(stream, formats=("JPEG",)) as image:
        if image.mode not in ("L", "RGB"):
            raise ImageError("unsupported_format", f"JPEG in {image.mode} is not accepted yet.")
        return np.asarray(image)


def read_metadata(header: Header) -> Metadata:
    """Gather what a JPEG carries beside its pixels."""
    exif = next((p[len(EXIF) :] for m, p in header.segments if m == APP1 and p.startswith(EXIF)), b"")
    return Metadata(
        orientation=meta.exif_orientation(exif),
        icc_profile=_join_icc(header),
        dpi=_jfif_dpi(header),
        segments=tuple(_cut_thumbnail(segment) for segment in header.segments if _may_stay(segment)),
    )


def _may_stay(segment: tuple[int, bytes]) -> bool:
    # The Adobe marker describes the old coding, the profile is written anew, MPF points to pictures that are gone.
    marker, payload = segment
    return marker != APP14 and not (marker == APP2 and payload.startswith((ICC, MPF)))


def _cut_thumbnail(segment: tuple[int, bytes]) -> tuple[int, bytes]:
    marker, payload = segment
    if marker == APP1 and payload.startswith(EXIF):
        return marker, EXIF + meta.without_thumbnail(payload[len(EXIF) :])
    if marker == APP0 and payload.startswith(JFIF) and len(payload) > 14:
        return marker, payload[:12] + bytes(2)
    return segment


def _join_icc(header: Header) -> bytes | None:
    prefix = len(ICC) + 2
    parts = [payload for marker, payload in header.segments if marker == APP2 and payload.startswith(ICC)]
    parts.sort(key=lambda payload: payload[len(ICC) : prefix])
    return b"".join(payload[prefix:] for payload in parts) or None


def _jfif_dpi(header: Header) -> tuple[float, float] | None:
    payload = next((p for m, p in header.segments if m == APP0 and p.startswith(JFIF) and len(p) >= 12), None)
    if payload is None:
        return None
    unit, across, down = struct.unpack_from(">BHH", payload, 7)
    inches = {1: 1.0, 2: 2.54}.get(unit)
    return (across * inches, down * inches) if inches else None


def encode(pages: Sequence[Samples], scan: Scan) -> bytes:
    """A JPEG of quality 95 without chroma subsampling, with the original's segments."""
    buffer = io.BytesIO()
    Image.fromarray(pages[0]).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    coded = buffer.getvalue()
    metadata = scan.first.metadata
    has_jfif = any(marker == APP0 and payload.startswith(JFIF) for marker, payload in metadata.segments)
    own = [] if has_jfif else [coded[2:20]]
    kept = [_segment(marker, payload) for marker, payload in metadata.segments]
    profile = [_segment(APP2, payload) for payload in _split_icc(meta.result_profile(metadata.icc_profile))]
    return b"".join([coded[:2], *own, *kept, *profile, coded[20:]])


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _split_icc(profile: bytes | None) -> list[bytes]:
    parts = [profile[i : i + ICC_PART_BYTES] for i in range(0, len(profile), ICC_PART_BYTES)] if profile else []
    return [ICC + bytes((number, len(parts))) + part for number, part in enumerate(parts, 1)]
