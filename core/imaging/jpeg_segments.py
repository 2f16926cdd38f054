"""The segments of JPEG files: reading them, and those that a result gets.

Source: ITU-T T.81 annex B, JFIF 1.02, EXIF 2.32 section 4.7, CIPA DC-007 (MPO), XMP specification part 3, ISO 19566-5
(JUMBF), C2PA 2.1 section A.3.1.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from core.errors import ImageError
from core.imaging import iptc, xmp
from core.imaging import metadata as meta
from core.imaging.metadata import Metadata, Portable
from core.imaging.output import Output
from core.imaging.portable import exif_block, labelled

EOI, SOS, COM = 0xD9, 0xDA, 0xFE
APP0, APP1, APP2, APP11, APP13, APP14, APP15 = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE, 0xEF
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})

ADOBE = b"Adobe"
EXIF = b"Exif\0\0"
ICC = b"ICC_PROFILE\0"
JFIF = b"JFIF\0"
JFXX = b"JFXX\0"
BOXES = b"JP"
MPF = b"MPF\0"
PHOTOSHOP = b"Photoshop 3.0\0"
C2PA_DESCRIPTION = b"jumdc2pa"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
ICC_PART_BYTES = 65519
MAX_PAYLOAD_BYTES = 65533
EXTENSION_PART_BYTES = 65400
MAX_HEADER_BYTES = 64 * 2**20

EXTENSION_LOSS = "the further part of XMP that is larger than 64 KB"
EXIF_SIZE_LOSS = "EXIF, which is larger than the 64 KB that a JPEG can hold"

Segment = tuple[int, bytes]


@dataclass(frozen=True)
class Header:
    """What stands before a JPEG's first scan: its frame and its APPn and COM segments.

    Photoshop's resources, which may be spread over several segments, are one here, of any length.
    """

    frame: int
    precision: int
    width: int
    height: int
    components: int
    segments: tuple[Segment, ...]

    def payloads(self, marker: int, prefix: bytes) -> list[bytes]:
        """What follows a prefix in the segments that begin with it."""
        return [p[len(prefix) :] for m, p in self.segments if m == marker and p.startswith(prefix)]


def read_header(stream: BinaryIO) -> Header:
    """Read the segments up to the first scan, at whose marker's end the stream is left.

    Raises ImageError(truncated_image) when the file ends before, ImageError(unreadable_image) where it is no JPEG.
    """
    stream.seek(2)
    frame: Segment | None = None
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
    return Header(frame[0], precision, width, height, components, tuple(_joined(segments)))


def _joined(segments: list[Segment]) -> list[Segment]:
    parts = [segment for segment in segments if _is_photoshop(segment)]
    if len(parts) < 2:
        return segments
    first = segments.index(parts[0])
    whole = PHOTOSHOP + b"".join(payload[len(PHOTOSHOP) :] for _, payload in parts)
    return [*segments[:first], (APP13, whole), *(s for s in segments[first:] if not _is_photoshop(s))]


def _is_photoshop(segment: Segment) -> bool:
    return segment[0] == APP13 and segment[1].startswith(PHOTOSHOP)


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


def read_metadata(header: Header) -> Metadata:
    """Gather what a JPEG carries beside its pixels."""
    exif, exif_losses = meta.readable_exif(next(iter(header.payloads(APP1, EXIF)), b""))
    resources = iptc.without_thumbnails(b"".join(header.payloads(APP13, PHOTOSHOP)))
    return Metadata(
        orientation=meta.exif_orientation(exif),
        icc_profile=_join_icc(header),
        dpi=_jfif_dpi(header) or meta.exif_dpi(exif),
        portable=Portable(
            exif=exif,
            # Other formats have no extensions to point to.
            xmp=xmp.with_extension(next(iter(header.payloads(APP1, XMP)), b""), ""),
            iptc=iptc.from_resources(resources),
        ),
        unportable=exif_losses + _unportable(header, resources),
        segments=tuple(_kept(without_credentials(header.segments))),
    )


def without_credentials(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The same segments but those of a C2PA manifest, which is made for the old pixels and no longer true.

    A box that is spread over several segments has the same number and kind in each, and its description in the first.
    """
    boxes = {_box_of(segment) for segment in segments if C2PA_DESCRIPTION in segment[1][:48]} - {None}
    return tuple(segment for segment in segments if _box_of(segment) not in boxes)


def _box_of(segment: Segment) -> tuple[bytes, bytes] | None:
    """Number and kind of the box that a segment has a part of."""
    marker, payload = segment
    return (payload[2:4], payload[12:16]) if marker == APP11 and payload.startswith(BOXES) else None


def _kept(segments: Sequence[Segment]) -> Iterator[Segment]:
    """The segments that stay, without small pictures, their EXIF that of a picture in sRGB."""
    for segment in segments:
        cut = cut_thumbnail(segment)
        marker, payload = cut
        if marker == APP1 and payload.startswith(EXIF):
            yield marker, EXIF + meta.described_as_srgb(payload[len(EXIF) :])
        elif _may_stay(segment) and (payload or cut == segment):
            yield cut


def _unportable(header: Header, resources: bytes) -> tuple[str, ...]:
    known = ((APP0, b"JF"), (APP1, EXIF), (APP1, XMP), (APP1, XMP_EXTENSION), (APP13, PHOTOSHOP))
    segments = without_credentials(header.segments)
    others = {m for m, p in segments if _may_stay((m, p)) and not any(m == k and p.startswith(b) for k, b in known)}
    losses = ("the comment",) * (COM in others)
    losses += tuple(f"the JPEG's segment APP{marker - APP0}" for marker in sorted(others - {COM}))
    losses += (iptc.OTHER_RESOURCES_LOSS,) * iptc.has_other_resources(resources)
    return losses + (EXTENSION_LOSS,) * bool(header.payloads(APP1, XMP_EXTENSION))


def _may_stay(segment: Segment) -> bool:
    # The Adobe marker describes the old coding, the profile is written anew, MPF points to pictures that are gone.
    marker, payload = segment
    is_adobe = marker == APP14 and payload.startswith(ADOBE)
    return not is_adobe and not (marker == APP2 and payload.startswith((ICC, MPF)))


def cut_thumbnail(segment: Segment) -> Segment:
    """The same segment, without the small picture that EXIF, JFIF and Photoshop may hold; empty if it was no more."""
    marker, payload = segment
    if marker == APP1 and payload.startswith(EXIF):
        return marker, EXIF + meta.without_thumbnail(payload[len(EXIF) :])
    if marker == APP0 and payload.startswith(JFIF) and len(payload) > 14:
        return marker, payload[:12] + bytes(2)
    if marker == APP0 and payload.startswith(JFXX):
        return marker, b""
    if _is_photoshop(segment):
        resources = payload[len(PHOTOSHOP) :]
        cut = iptc.without_thumbnails(resources)
        return segment if cut == resources else (marker, PHOTOSHOP + cut if cut else b"")
    return segment


def _join_icc(header: Header) -> bytes | None:
    parts = sorted(header.payloads(APP2, ICC), key=lambda payload: payload[:1])
    return b"".join(payload[2:] for payload in parts) or None


def _jfif_dpi(header: Header) -> tuple[float, float] | None:
    payload = next((payload for payload in header.payloads(APP0, JFIF) if len(payload) >= 7), None)
    if payload is None:
        return None
    unit, across, down = struct.unpack_from(">BHH", payload, 2)
    inches = {1: 1.0, 2: 2.54}.get(unit)
    return (across * inches, down * inches) if inches and across and down else None


def own_segments(metadata: Metadata, output: Output) -> tuple[list[Segment], tuple[str, ...]]:
    """The segments of a result of a JPEG: the original's, with the label in its XMP."""
    segments = list(metadata.segments)
    if output.provenance is None:
        return segments, ()
    packet, losses = labelled(metadata.portable.xmp, output)
    extensions = [segment for segment in segments if _is_extension(segment)]
    segments = [segment for segment in segments if not _is_extension(segment)]
    place = next((i for i, s in enumerate(segments) if s[0] == APP1 and s[1].startswith(XMP)), None)
    old = b""
    if place is None:
        place = next((i for i, s in enumerate(segments) if not s[1].startswith((JFIF, EXIF))), len(segments))
    else:
        old = segments.pop(place)[1][len(XMP) :]
    extensions, name, cut_losses = _cut_extensions(extensions, old)
    losses += cut_losses
    main = xmp.with_extension(packet, name) if name else packet
    if len(XMP) + len(main) <= MAX_PAYLOAD_BYTES:
        segments[place:place] = [(APP1, XMP + main), *extensions]
    else:
        losses += (EXTENSION_LOSS,) * bool(extensions)
        segments[place:place] = _xmp_segments(packet, output)
    return segments, losses


def _is_extension(segment: Segment) -> bool:
    return segment[0] == APP1 and segment[1].startswith(XMP_EXTENSION)


def _cut_extensions(extensions: list[Segment], packet: bytes) -> tuple[list[Segment], str, tuple[str, ...]]:
    """The extensions of XMP as a result has them.

    Args:
        extensions: their segments; there may be some that the packet does not point to.
        packet: the original's.

    Returns:
        The segments, the name of what the packet is to point to ("" for none), and what was lost.
    """
    if not extensions:
        return [], "", ()
    name = xmp.extension_name(packet)
    losses: tuple[str, ...] = ()
    for known in dict.fromkeys(map(_extension_name, extensions)):
        parts = [segment for segment in extensions if _extension_name(segment) == known]
        whole = _joined_extension(parts)
        cut, cut_losses = xmp.without_old_picture(whole)
        if not cut_losses and (b"Thumbnails" not in whole or xmp.is_readable(whole)):
            continue
        extensions = [segment for segment in extensions if segment not in parts]
        if cut_losses and known == name.encode():
            rest = xmp.unwrapped(cut)
            name = _name_of(rest)
            extensions += _extension_segments(rest)
            losses += cut_losses
        else:
            losses += (EXTENSION_LOSS,)
    is_there = name.encode() in map(_extension_name, extensions)
    return extensions, name if is_there else "", losses


def _extension_name(segment: Segment) -> bytes:
    return segment[1][len(XMP_EXTENSION) :][:32]


def _joined_extension(parts: Sequence[Segment]) -> bytes:
    """An extension that is spread over segments, of which each tells its place."""
    data = sorted((payload[len(XMP_EXTENSION) + 36 :] for _, payload in parts), key=lambda part: part[:4])
    return b"".join(part[4:] for part in data)


def foreign_segments(metadata: Metadata, output: Output) -> tuple[list[Segment], tuple[str, ...]]:
    """The segments of a result of another format, from what its metadata have in common with JPEG's."""
    segments = [(APP0, _jfif(metadata.dpi))]
    exif = exif_block(metadata)
    packet, losses = labelled(metadata.portable.xmp, output)
    if len(EXIF) + len(exif) > MAX_PAYLOAD_BYTES:
        losses += (EXIF_SIZE_LOSS,)
        exif = exif_block(meta.without_exif(metadata))
    if exif:
        segments.append((APP1, EXIF + exif))
    segments.extend(_xmp_segments(packet, output) if packet else [])
    if metadata.portable.iptc:
        segments.append((APP13, PHOTOSHOP + iptc.to_resource(metadata.portable.iptc)))
    return segments, losses


def _jfif(dpi: tuple[float, float] | None) -> bytes:
    across, down = (min(65535, max(1, round(value))) for value in dpi) if dpi else (1, 1)
    return JFIF + struct.pack(">HBHH", 0x0102, 1 if dpi else 0, across, down) + bytes(2)


def _xmp_segments(packet: bytes, output: Output) -> list[Segment]:
    """One segment, or, for what is too large for one, a short packet that points to an extension in further ones."""
    if len(XMP) + len(packet) <= MAX_PAYLOAD_BYTES:
        return [(APP1, XMP + packet)]
    extension = xmp.unwrapped(packet)
    main, _ = labelled(xmp.with_extension(xmp.EMPTY, _name_of(extension)), output)
    return [(APP1, XMP + main), *_extension_segments(extension)]


def _name_of(extension: bytes) -> str:
    return hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()


def _extension_segments(extension: bytes) -> list[Segment]:
    head = XMP_EXTENSION + _name_of(extension).encode()
    starts = range(0, len(extension), EXTENSION_PART_BYTES)
    return [
        (APP1, head + struct.pack(">II", len(extension), start) + extension[start : start + EXTENSION_PART_BYTES])
        for start in starts
    ]


def profile_segments(profile: bytes) -> list[Segment]:
    """An ICC profile in as many segments as it needs."""
    parts = [profile[i : i + ICC_PART_BYTES] for i in range(0, len(profile), ICC_PART_BYTES)]
    return [(APP2, ICC + bytes((number, len(parts))) + part) for number, part in enumerate(parts, 1)]


def serialize(segments: Sequence[Segment]) -> bytes:
    """Segments as they stand in a file; Photoshop's resources in as many as they need."""
    parts = (part for segment in segments for part in _parted(segment))
    return b"".join(struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data for marker, data in parts)


def _parted(segment: Segment) -> list[Segment]:
    marker, payload = segment
    if len(payload) <= MAX_PAYLOAD_BYTES or not _is_photoshop(segment):
        return [segment]
    resources = payload[len(PHOTOSHOP) :]
    step = MAX_PAYLOAD_BYTES - len(PHOTOSHOP)
    return [(marker, PHOTOSHOP + resources[i : i + step]) for i in range(0, len(resources), step)]
