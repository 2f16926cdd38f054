"""The boxes of JP2 files: what they tell about pixels, and those that a result gets.

Source: ISO/IEC 15444-1 annex I; the identifiers of EXIF, XMP and IPTC boxes as ExifTool and Adobe's XMP specification
part 3 give them.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

from core.errors import ImageError
from core.imaging import metadata as meta
from core.imaging.isobmff import CREDENTIALS_ID, Box, contents, file_boxes, make_box, read_boxes
from core.imaging.metadata import Metadata, Portable
from core.imaging.output import Output
from core.imaging.portable import exif_block, labelled

SIGNATURE = make_box(b"jP  ", b"\r\n\x87\n")
FILE_TYPE = make_box(b"ftyp", b"jp2 ", bytes(4), b"jp2 ")
EXIF_ID = b"JpgTiffExif->JP2"
XMP_ID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
IPTC_ID = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
MAX_BOX_BYTES = 64 * 2**20
METERS_PER_INCH = 0.0254

STRUCTURE = frozenset({b"jP  ", b"ftyp", b"jp2h", b"jp2c", b"free", b"rreq"})
KEPT = frozenset({b"uuid", b"xml ", b"uinf"})
SRGB = 16
STRAIGHT, PREMULTIPLIED = ALPHA_KINDS = (1, 2)
UNACCEPTED_SPACES = {12: "CMYK", 14: "CIELab", 18: "YCbCr (sYCC)", 20: "e-sRGB", 21: "ROMM RGB", 24: "e-sYCC"}
RESOLUTIONS = (b"resc", b"resd")

Chunk = tuple[bytes, bytes]


@dataclass(frozen=True)
class Jp2:
    """What the boxes of a JP2 file tell, or that there are none around a codestream.

    Args:
        start: where its codestream begins in the file.
        end: where it ends at the latest.
        icc_profile: the profile of its colors.
        channels: number, type and association of each channel, where the file tells.
        resolution: contents of the box of resolutions.
        boxes: kinds and contents of the boxes that stay.
        losses: what of the file does not, in words.
    """

    start: int
    end: int
    icc_profile: bytes | None = None
    channels: tuple[tuple[int, int, int], ...] = ()
    resolution: bytes = b""
    boxes: tuple[Chunk, ...] = ()
    losses: tuple[str, ...] = ()


def read_jp2(stream: BinaryIO) -> Jp2:
    """Read all boxes. Raises ImageError(truncated_image | unreadable_image | unsupported_format)."""
    stream.seek(0)
    if stream.read(4) == b"\xff\x4f\xff\x51":
        return Jp2(0, stream.seek(0, 2))
    boxes = file_boxes(stream)
    codestreams = [box for box in boxes if box.kind == b"jp2c"]
    header = next((box for box in boxes if box.kind == b"jp2h"), None)
    if header is None or not codestreams:
        raise ImageError("truncated_image", "The JPEG 2000 file has no picture.")
    kept = [box for box in boxes if box.kind in KEPT and box.size <= MAX_BOX_BYTES]
    lost = [box for box in boxes if box.kind not in STRUCTURE and box not in kept]
    losses = [f"the box {box.kind!r}" for box in lost] + ["the further pictures of the file"] * (len(codestreams) > 1)
    inner = {box.kind: box for box in reversed(list(read_boxes(stream, header.start, header.end)))}
    if b"pclr" in inner:
        raise ImageError("unsupported_format", "JPEG 2000 with a palette is not accepted; make it RGB or gray.")
    return Jp2(
        codestreams[0].start,
        codestreams[0].end,
        _read_profile(stream, header),
        _read_channels(stream, inner.get(b"cdef")),
        contents(stream, inner[b"res "], MAX_BOX_BYTES) if b"res " in inner else b"",
        tuple((box.kind, contents(stream, box, MAX_BOX_BYTES)) for box in kept),
        tuple(dict.fromkeys(losses)),
    )


def _read_profile(stream: BinaryIO, header: Box) -> bytes | None:
    """The ICC profile of the first color box that can be read; refuses color spaces that are none of ours."""
    for box in read_boxes(stream, header.start, header.end):
        if box.kind != b"colr":
            continue
        data = contents(stream, box, MAX_BOX_BYTES)
        if data[:1] == b"\1" and len(data) >= 7:
            space = int.from_bytes(data[3:7])
            if space in UNACCEPTED_SPACES:
                name = UNACCEPTED_SPACES[space]
                raise ImageError("unsupported_format", f"JPEG 2000 in {name} is not accepted; make it RGB or gray.")
            return None
        if data[:1] in (b"\2", b"\3"):
            return data[3:] or None
    return None


def _read_channels(stream: BinaryIO, box: Box | None) -> tuple[tuple[int, int, int], ...]:
    if box is None:
        return ()
    data = contents(stream, box, MAX_BOX_BYTES)
    whole = data[2 : 2 + 6 * min(int.from_bytes(data[:2]), 16)]
    return tuple(struct.iter_unpack(">HHH", whole[: len(whole) // 6 * 6]))


def read_metadata(file: Jp2) -> tuple[Metadata, tuple[str, ...]]:
    """Gather what a file carries beside its pixels, and in words what of it the result will not have."""
    kept = [_for_result(box) for box in file.boxes if box[1][:16] != CREDENTIALS_ID]
    boxes = [box for box, _ in kept]
    found = {data[:16]: data[16:] for kind, data in reversed(boxes) if kind == b"uuid"}
    exif, exif_losses = meta.readable_exif(meta.bare_exif(found.get(EXIF_ID, b"")))
    others = ["the box 'xml '"] * any(kind == b"xml " for kind, _ in boxes)
    others += ["a box with an identifier of its own"] * any(name not in (EXIF_ID, XMP_ID, IPTC_ID) for name in found)
    metadata = Metadata(
        orientation=meta.exif_orientation(exif),
        icc_profile=file.icc_profile,
        dpi=_dpi(file.resolution) or meta.exif_dpi(exif),
        portable=Portable(exif, found.get(XMP_ID, b""), found.get(IPTC_ID, b"")),
        unportable=(*exif_losses, *others),
        chunks=(*((kind, data) for kind, data in boxes), *(((b"res ", file.resolution),) if file.resolution else ())),
    )
    losses = (meta.THUMBNAIL_LOSS,) * any(was_cut for _, was_cut in kept)
    return metadata, losses + (meta.CREDENTIALS_LOSS,) * (len(kept) < len(file.boxes))


def _for_result(box: Chunk) -> tuple[Chunk, bool]:
    """The box as a result has it, and whether a thumbnail was cut from its EXIF."""
    kind, data = box
    if kind != b"uuid" or data[:16] != EXIF_ID:
        return box, False
    exif, was_cut = meta.kept_exif(data, meta.bare_exif(data[16:]))
    return (kind, exif), was_cut


def _dpi(resolution: bytes) -> tuple[float, float] | None:
    """Pixels per inch across and down: of the scanning, else as the file wants to be shown."""
    found = {resolution[i + 4 : i + 8]: resolution[i + 8 : i + 18] for i in range(0, len(resolution) - 17, 18)}
    data = next((found[kind] for kind in RESOLUTIONS if kind in found), b"")
    if len(data) < 10:
        return None
    down, down_by, across, across_by, down_exponent, across_exponent = struct.unpack(">HHHHbb", data)
    if not all((down, down_by, across, across_by)):
        return None
    per_inch = [
        ratio * 10.0**exponent * METERS_PER_INCH
        for ratio, exponent in ((across / across_by, across_exponent), (down / down_by, down_exponent))
    ]
    return per_inch[0], per_inch[1]


def own_boxes(metadata: Metadata, output: Output) -> tuple[list[Chunk], tuple[str, ...]]:
    """The boxes of a result of a JPEG 2000 file: the original's, with the label in its XMP."""
    packet, losses = labelled(metadata.portable.xmp, output)
    boxes = [box for box in metadata.chunks if box[0] == b"res " or box[1][:16] != XMP_ID]
    return [*boxes, *([(b"uuid", XMP_ID + packet)] if packet else [])], losses


def foreign_boxes(metadata: Metadata, output: Output) -> tuple[list[Chunk], tuple[str, ...]]:
    """The boxes of a result of another format, from what its metadata have in common with JP2's."""
    packet, losses = labelled(metadata.portable.xmp, output)
    exif = exif_block(metadata)
    named = ((EXIF_ID, exif), (XMP_ID, packet), (IPTC_ID, metadata.portable.iptc))
    boxes = [(b"uuid", name + data) for name, data in named if data]
    return [*boxes, *([(b"res ", _resolution(metadata.dpi))] if metadata.dpi else [])], losses


def _resolution(dpi: tuple[float, float]) -> bytes:
    across, down = (_ratio(value / METERS_PER_INCH) for value in dpi)
    numbers = struct.pack(">HHHHbb", *down[:2], *across[:2], down[2], across[2])
    return make_box(b"resc", numbers)


def _ratio(value: float) -> tuple[int, int, int]:
    """Numerator, denominator and decimal exponent of a positive number, the first two below 2 to the power of 16."""
    exponent = 0
    while value > 0xFFFF:
        value, exponent = value / 10, exponent + 1
    while value < 1:
        value, exponent = value * 10, exponent - 1
    ratio = Fraction(value).limit_denominator(max(1, int(0xFFFF / (value + 1))))
    return min(ratio.numerator, 0xFFFF), ratio.denominator, exponent


def head(size: tuple[int, int], bits: int, alpha_kind: int | None, boxes: Sequence[Chunk]) -> bytes:
    """All boxes that stand before the codestream's, of a picture in sRGB.

    Args:
        size: width and height.
        bits: of each sample.
        alpha_kind: STRAIGHT or PREMULTIPLIED; None without alpha.
        boxes: kinds and contents of further ones.
    """
    count = 3 if alpha_kind is None else 4
    header = make_box(b"ihdr", struct.pack(">IIHBBBB", size[1], size[0], count, bits - 1, 7, 0, 0))
    color = make_box(b"colr", struct.pack(">BBBI", 1, 0, 0, SRGB))
    channels = (0, 0, 1, 1, 0, 2, 2, 0, 3, 3, alpha_kind or 0, 0)
    definition = b"" if alpha_kind is None else make_box(b"cdef", struct.pack(">H12H", 4, *channels))
    resolution = b"".join(make_box(kind, data) for kind, data in boxes if kind == b"res ")
    others = b"".join(make_box(kind, data) for kind, data in boxes if kind != b"res ")
    return SIGNATURE + FILE_TYPE + make_box(b"jp2h", header, color, definition, resolution) + others
