"""What travels with the pixels: EXIF, XMP, IPTC, ICC profiles, resolution, orientation."""

import io
import math
import struct
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

from PIL import ImageCms

from core.imaging import ifd

UPRIGHT = 1
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
RESOLUTIONS = (X_RESOLUTION, Y_RESOLUTION)
SHORT, RATIONAL = 3, 5
NO_UNIT, INCHES, CENTIMETERS = 1, 2, 3
# struct codes of the field types that a resolution may have: integers, ratios, floating point.
NUMBER_CODES = {1: "B", 3: "H", 4: "I", 5: "II", 10: "ii", 11: "f", 12: "d", 16: "Q"}
LARGEST_DENOMINATOR = 10_000
COLOR_SPACE, SRGB = 0xA001, 1
# Bits, photometric interpretation and number of samples, which in EXIF can only tell of the old ones.
SAMPLE_TAGS = (258, 262, 277)
LITTLE_ENDIAN = ifd.Layout("<")
UNREADABLE_EXIF_LOSS = "EXIF, which cannot be read"
CREDENTIALS_LOSS = "the content credentials (C2PA), which vouch for the old picture"
THUMBNAIL_LOSS = "the small preview in the metadata, which shows the old picture"


@dataclass(frozen=True)
class Portable:
    """Metadata in the forms that most file formats can hold, for results in another format than the original's.

    Args:
        exif: a block of EXIF, beginning with its TIFF header ("II*\\0" or "MM\\0*"), without thumbnail; b"" for none.
        xmp: an XMP packet in UTF-8; b"" for none.
        iptc: IPTC-IIM records, without any Photoshop wrapping; b"" for none.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""


@dataclass(frozen=True)
class Metadata:
    """What is carried over from a file to its result, in that file format's own pieces, byte for byte.

    Args:
        orientation: EXIF orientation 1..8; how the stored pixels are to be turned for display.
        icc_profile: the original's ICC profile.
        dpi: pixels per inch across and down, where the file says so.
        portable: the same metadata in forms that other formats can hold.
        unportable: what portable lacks of it, in words: losses of results in another format.
        segments: JPEG markers and their payloads.
        chunks: types and data of PNG or RIFF chunks, of JP2 boxes, or of the pieces of an AVIF.
        tags: TIFF tags.
        layout: byte order of the TIFF tags.
        alpha_kind: TIFF's ExtraSamples: 0 unspecified, 1 colors are multiplied by alpha, 2 they are not.
        compression: TIFF's number of the compression.
        tile: rows and columns of a tile, where a TIFF has tiles.
    """

    orientation: int = UPRIGHT
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    portable: Portable = Portable()
    unportable: tuple[str, ...] = ()
    segments: tuple[tuple[int, bytes], ...] = ()
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    tags: tuple[ifd.Entry, ...] = ()
    layout: ifd.Layout = LITTLE_ENDIAN
    alpha_kind: int = 2
    compression: int = 0
    tile: tuple[int, int] | None = None


@cache
def srgb_profile() -> bytes:
    """An sRGB ICC profile, the same bytes each time (its date of creation is set to that of sRGB's standard)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 1999, 10, 1, 0, 0, 0)
    profile[84:100] = bytes(16)
    return bytes(profile)


def readable_exif(exif: bytes) -> tuple[bytes, tuple[str, ...]]:
    """A block of EXIF as a result may have it: without its thumbnail, and telling sRGB where it tells a color space.

    Returns:
        The block, b"" where it cannot be read, and then a loss in words.
    """
    if not exif:
        return b"", ()
    try:
        layout, offset = ifd.read_layout(exif[:16])
        ifd.read_ifd(io.BytesIO(exif), layout, offset)
    except ifd.IfdError:
        return b"", (UNREADABLE_EXIF_LOSS,)
    return described_as_srgb(without_thumbnail(exif)), ()


def without_exif(metadata: Metadata) -> Metadata:
    """The same metadata, which in other formats have no EXIF but orientation and resolution."""
    return replace(metadata, portable=replace(metadata.portable, exif=b""))


def exif_orientation(exif: bytes) -> int:
    """The orientation 1..8 that a block of EXIF (beginning with its TIFF header) asks for; 1 when unreadable."""
    try:
        layout, offset = ifd.read_layout(exif[:16])
        return orientation_of(ifd.read_ifd(io.BytesIO(exif), layout, offset).entries, layout)
    except ifd.IfdError:
        return UPRIGHT


def orientation_of(entries: tuple[ifd.Entry, ...], layout: ifd.Layout) -> int:
    """The orientation 1..8 among some tags; 1 when there is none."""
    values = [entry.integer(layout.order) for entry in entries if entry.tag == ifd.ORIENTATION]
    return values[0] if values and 1 <= values[0] <= 8 else UPRIGHT


def exif_dpi(exif: bytes) -> tuple[float, float] | None:
    """Pixels per inch across and down that a block of EXIF tells."""
    try:
        layout, offset = ifd.read_layout(exif[:16])
        return dpi_of(ifd.read_ifd(io.BytesIO(exif), layout, offset).entries, layout)
    except ifd.IfdError:
        return None


def dpi_of(entries: tuple[ifd.Entry, ...], layout: ifd.Layout) -> tuple[float, float] | None:
    """Pixels per inch across and down among some tags, where they are told in inches or centimeters."""
    inches = {INCHES: 1.0, CENTIMETERS: 2.54}.get(resolution_unit(entries, layout))
    ratios = resolution(entries, layout)
    if inches is None or ratios is None:
        return None
    (across, across_by), (down, down_by) = ratios
    return across / across_by * inches, down / down_by * inches


def resolution_unit(entries: tuple[ifd.Entry, ...], layout: ifd.Layout) -> int:
    """1 for none, 2 for inches (also when unsaid), 3 for centimeters."""
    units = (entry.integer(layout.order) for entry in entries if entry.tag == RESOLUTION_UNIT)
    unit = next(units, INCHES)
    return unit if unit in (NO_UNIT, INCHES, CENTIMETERS) else NO_UNIT


def resolution(entries: tuple[ifd.Entry, ...], layout: ifd.Layout) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Numerator and denominator of the resolution across and down; where only one of both is told, it holds for both.

    Numbers of any type are taken. None where there is none above zero.
    """
    told = {entry.tag: ratio for entry in entries if entry.tag in RESOLUTIONS and (ratio := _ratio(entry, layout))}
    if not told:
        return None
    across, down = told.get(X_RESOLUTION), told.get(Y_RESOLUTION)
    return (across or told[Y_RESOLUTION], down or told[X_RESOLUTION])


def _ratio(entry: ifd.Entry, layout: ifd.Layout) -> tuple[int, int] | None:
    """A positive number as a ratio of two of 32 bits; None for any other."""
    code = NUMBER_CODES.get(entry.field_type)
    if code is None:
        return None
    numbers = struct.unpack_from(layout.order + code, entry.data)
    if len(numbers) == 1:
        if not math.isfinite(numbers[0]):
            return None
        numbers = Fraction(numbers[0]).limit_denominator(LARGEST_DENOMINATOR).as_integer_ratio()
    return (numbers[0], numbers[1]) if all(0 < number < 1 << 32 for number in numbers) else None


def without_thumbnail(exif: bytes) -> bytes:
    """The same block of EXIF, whose first directory no longer points to the one of the thumbnail."""
    try:
        layout, offset = ifd.read_layout(exif[:16])
    except ifd.IfdError:
        return exif
    if layout.big or offset + 2 > len(exif):
        return exif
    count = struct.unpack_from(layout.count_code, exif, offset)[0]
    link = offset + 2 + 12 * count
    if link + 4 > len(exif):
        return exif
    return exif[:link] + bytes(4) + exif[link + 4 :]


def bare_exif(exif: bytes) -> bytes:
    """A block of EXIF without JPEG's prefix, which some programs put before it in other formats too."""
    return exif.removeprefix(b"Exif\0\0")


def kept_exif(stored: bytes, exif: bytes) -> tuple[bytes, bool]:
    """The EXIF of an original as a result of the same format carries it on, and whether a thumbnail was cut from it.

    Args:
        stored: as the file has it; its end is the block itself.
        exif: the block of EXIF in it.
    """
    cut = without_thumbnail(exif)
    return stored[: len(stored) - len(exif)] + described_as_srgb(cut), cut != exif


def described_as_srgb(exif: bytes) -> bytes:
    """The same block of EXIF for a result: its color space, where it tells one, is sRGB, and its samples go untold."""
    try:
        layout, offset = ifd.read_layout(exif[:16])
        exif = ifd.with_shorts(exif, layout, offset, dict.fromkeys(SAMPLE_TAGS))
        for entry in ifd.read_ifd(io.BytesIO(exif), layout, offset).entries:
            if entry.tag == ifd.EXIF_IFD and entry.children:
                exif = ifd.with_shorts(exif, layout, entry.integer(layout.order), {COLOR_SPACE: SRGB})
    except ifd.IfdError:
        return exif
    return exif
