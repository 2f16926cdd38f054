"""The chunks of PNG files: reading them, and those that a result gets.

Source: Portable Network Graphics, third edition (W3C); XMP specification part 3; ImageMagick's raw profiles.
"""

import struct
import zlib
from collections.abc import Sequence
from typing import BinaryIO

from core.errors import ImageError
from core.imaging import iptc
from core.imaging import metadata as meta
from core.imaging.metadata import Metadata, Portable
from core.imaging.output import Output
from core.imaging.portable import exif_block, labelled

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNK_BYTES = 64 * 2**20
MAX_INFLATED_BYTES = 16 * 2**20
METERS_PER_INCH = 0.0254
XMP_KEYWORD = b"XML:com.adobe.xmp"
IPTC_KEYWORD = b"Raw profile type iptc"
TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
# The profile that a result gets takes the place of these.
COLOR_CHUNKS = frozenset({b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI"})
# A manifest of C2PA, made for the old pixels.
CREDENTIALS = b"caBX"
# What these tell is in the pixels, or was told elsewhere: palette, transparent colors, frames, Apple's layout of IDAT.
PIXEL_CHUNKS = frozenset({b"PLTE", b"tRNS", b"fcTL", b"acTL", b"iDOT"})
# ITU-T H.273: primaries of BT.709, transfer of sRGB.
SRGB_CODE_POINTS = b"\x01\x0d"
# White point and primaries of sRGB, in units of 1/100,000.
SRGB_CHROMATICITIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
CHROMATICITY_TOLERANCE = 500
SRGB_GAMMA, GAMMA_TOLERANCE = 45455, 2000
GAMMA_LOSS = "the gamma that the PNG tells (values were taken as sRGB)"
CHROMATICITIES_LOSS = "the primary colors that the PNG tells (values were taken as sRGB)"
CICP_LOSS = "the color space that the PNG tells by numbers (values were taken as sRGB)"

Chunk = tuple[bytes, bytes]


def truncated() -> ImageError:
    """What is raised for a file that is cut off."""
    return ImageError("truncated_image", "The PNG ends before its picture does.")


def read_header(stream: BinaryIO) -> tuple[int, int, int]:
    """Width, height and bits per sample. Raises ImageError(truncated_image | unreadable_image)."""
    stream.seek(len(SIGNATURE))
    head = stream.read(25)
    if len(head) < 25:
        raise truncated()
    if head[4:8] != b"IHDR":
        raise ImageError("unreadable_image", "The PNG does not begin with its header.")
    width, height, bits = struct.unpack_from(">IIB", head, 8)
    return width, height, bits


def read_chunks(stream: BinaryIO) -> list[Chunk]:
    """All chunks but the pixels' and the header's.

    Raises ImageError(truncated_image) where IEND is missing, ImageError(unreadable_image) for a chunk of absurd size.
    """
    stream.seek(len(SIGNATURE))
    chunks: list[Chunk] = []
    while True:
        head = stream.read(8)
        if len(head) < 8:
            raise truncated()
        size, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return chunks
        if kind in (b"IHDR", b"IDAT", b"fdAT"):
            stream.seek(size + 4, 1)
            continue
        if size > MAX_CHUNK_BYTES:
            raise ImageError("unreadable_image", "The PNG has a chunk that is larger than any real one.")
        data = stream.read(size)
        stream.seek(4, 1)
        if len(data) < size:
            raise truncated()
        chunks.append((kind, data))


def read_metadata(chunks: Sequence[Chunk]) -> Metadata:
    """Gather what a PNG carries beside its pixels."""
    found = dict(chunks)
    exif, exif_losses = meta.readable_exif(meta.bare_exif(found.get(b"eXIf", b"")))
    texts = {_keyword(chunk): chunk for chunk in chunks if chunk[0] in TEXTS}
    others = sorted(name.decode("latin-1") for name in texts.keys() - {XMP_KEYWORD, IPTC_KEYWORD})
    return Metadata(
        orientation=meta.exif_orientation(exif),
        icc_profile=_inflate_profile(found.get(b"iCCP")),
        dpi=_dpi(found.get(b"pHYs")) or meta.exif_dpi(exif),
        portable=Portable(exif, _text_of(texts.get(XMP_KEYWORD)), _iptc_of(texts.get(IPTC_KEYWORD))),
        unportable=(*exif_losses, *(f"the text '{name}'" for name in others)),
        chunks=tuple(_for_result(chunk) for chunk in chunks if _may_stay(chunk[0])),
    )


def _for_result(chunk: Chunk) -> Chunk:
    kind, data = chunk
    return (kind, meta.kept_exif(data, meta.bare_exif(data))[0]) if kind == b"eXIf" else chunk


def _may_stay(kind: bytes) -> bool:
    # Bit 5 of the fourth letter marks a chunk that does not depend on the pixels (section 5.4).
    return kind not in COLOR_CHUNKS and (kind == b"tIME" or bool(kind[3] & 0x20))


def _keyword(chunk: Chunk) -> bytes:
    return chunk[1].partition(b"\0")[0][:79]


def _text_of(chunk: Chunk | None) -> bytes:
    """The text of a tEXt, zTXt or iTXt chunk, as it is coded; b"" where it cannot be inflated."""
    if chunk is None:
        return b""
    kind, data = chunk
    rest = data.partition(b"\0")[2]
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return inflate(rest[1:]) or b""
    text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return (inflate(text) or b"") if rest[:1] == b"\1" else text


def _iptc_of(chunk: Chunk | None) -> bytes:
    """IPTC-IIM records from a raw profile: a line with its name, one with its size, then its bytes in hexadecimal."""
    lines = _text_of(chunk).split(maxsplit=2)
    try:
        data = bytes.fromhex(lines[2].decode("ascii")) if len(lines) == 3 else b""
    except ValueError:
        return b""
    data = data.removeprefix(b"Photoshop 3.0\0")
    return data if data.startswith(iptc.RECORD_MARK) else iptc.from_resources(data)


def inflate(data: bytes) -> bytes | None:
    """Inflated bytes, cut at a length that no honest file needs; None for damaged or no data."""
    try:
        return zlib.decompressobj().decompress(data, MAX_INFLATED_BYTES) or None
    except zlib.error:
        return None


def _inflate_profile(chunk: bytes | None) -> bytes | None:
    return None if chunk is None else inflate(chunk.partition(b"\0")[2][1:])


def _dpi(chunk: bytes | None) -> tuple[float, float] | None:
    if chunk is None or len(chunk) != 9 or chunk[8] != 1:
        return None
    across, down = struct.unpack_from(">II", chunk)
    return (across * METERS_PER_INCH, down * METERS_PER_INCH) if across and down else None


def chunk_losses(chunks: Sequence[Chunk]) -> tuple[str, ...]:
    """In words, what the chunks say about the old colors or samples that no result can say.

    That is what other chunks than a profile tell about colors, where it is not sRGB, since it is not heeded; the
    preview inside EXIF; and chunks that depend on the old pixels.
    """
    exif = meta.bare_exif(dict(chunks).get(b"eXIf", b""))
    gone = {kind for kind, _ in chunks if not _may_stay(kind)} - COLOR_CHUNKS - PIXEL_CHUNKS
    return (
        *_unheeded(dict(chunks)),
        *(meta.THUMBNAIL_LOSS,) * meta.kept_exif(exif, exif)[1],
        *(meta.CREDENTIALS_LOSS,) * (CREDENTIALS in gone),
        *(
            f"the chunk '{kind.decode('latin-1')}', which depends on the old pixels"
            for kind in sorted(gone - {CREDENTIALS})
        ),
    )


def _unheeded(found: dict[bytes, bytes]) -> tuple[str, ...]:
    if b"cICP" in found and found[b"cICP"][:2] != SRGB_CODE_POINTS:
        return (CICP_LOSS,)
    if b"iCCP" in found or b"sRGB" in found:
        return ()
    gamma, chromaticities = found.get(b"gAMA", b""), found.get(b"cHRM", b"")
    losses = (GAMMA_LOSS,) * (len(gamma) == 4 and abs(int.from_bytes(gamma) - SRGB_GAMMA) > GAMMA_TOLERANCE)
    if len(chromaticities) == 32:
        pairs = zip(struct.unpack(">8I", chromaticities), SRGB_CHROMATICITIES, strict=True)
        losses += (CHROMATICITIES_LOSS,) * any(abs(told - srgb) > CHROMATICITY_TOLERANCE for told, srgb in pairs)
    return losses


def own_chunks(metadata: Metadata, output: Output) -> tuple[list[Chunk], tuple[str, ...]]:
    """The chunks of a result of a PNG: the original's, with the label in its XMP."""
    chunks = list(metadata.chunks)
    if output.provenance is None:
        return chunks, ()
    packet, losses = labelled(metadata.portable.xmp, output)
    chunks = [chunk for chunk in chunks if chunk[0] not in TEXTS or _keyword(chunk) != XMP_KEYWORD]
    return [_xmp_chunk(packet), *chunks], losses


def foreign_chunks(metadata: Metadata, output: Output) -> tuple[list[Chunk], tuple[str, ...]]:
    """The chunks of a result of another format, from what its metadata have in common with PNG's."""
    chunks = []
    if metadata.dpi is not None:
        per_meter = (min(2**31 - 1, max(1, round(value / METERS_PER_INCH))) for value in metadata.dpi)
        chunks.append((b"pHYs", struct.pack(">IIB", *per_meter, 1)))
    exif = exif_block(metadata)
    if exif:
        chunks.append((b"eXIf", exif))
    packet, losses = labelled(metadata.portable.xmp, output)
    if packet:
        chunks.append(_xmp_chunk(packet))
    if metadata.portable.iptc:
        chunks.append(_iptc_chunk(metadata.portable.iptc))
    return chunks, losses


def _xmp_chunk(packet: bytes) -> Chunk:
    return b"iTXt", XMP_KEYWORD + bytes(5) + packet


def _iptc_chunk(records: bytes) -> Chunk:
    resource = iptc.to_resource(records)
    lines = resource.hex("\n", -36).encode()
    text = b"\niptc\n%8d\n%s\n" % (len(resource), lines)
    return b"zTXt", IPTC_KEYWORD + b"\0\0" + zlib.compress(text)


def profile_chunk(profile: bytes) -> Chunk:
    """An ICC profile."""
    return b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)


def serialize(chunks: Sequence[Chunk]) -> bytes:
    """Chunks as they stand in a file."""
    return b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
