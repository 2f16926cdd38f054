"""What travels with the pixels: EXIF, XMP, IPTC, ICC profiles, resolution, orientation."""

import io
import struct
from dataclasses import dataclass
from functools import cache

from PIL import ImageCms

from core.imaging import ifd

UPRIGHT = 1
LITTLE_ENDIAN = ifd.Layout("<")
GRAY_PROFILE_LOSS = "the ICC profile, which does not describe RGB (replaced by sRGB)"
THUMBNAIL_LOSS = "the small preview inside EXIF, which is gray"


@dataclass(frozen=True)
class Metadata:
    """What is carried over from a file to its result, in that file format's own pieces, byte for byte.

    Args:
        orientation: EXIF orientation 1..8; how the stored pixels are to be turned for display.
        icc_profile: the original's ICC profile.
        dpi: pixels per inch across and down, where the file says so.
        segments: JPEG markers and their payloads.
        chunks: PNG chunk types and their data.
        tags: TIFF tags.
        layout: byte order of the TIFF tags.
        alpha_kind: TIFF's ExtraSamples: 0 unspecified, 1 colors are multiplied by alpha, 2 they are not.
    """

    orientation: int = UPRIGHT
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    segments: tuple[tuple[int, bytes], ...] = ()
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    tags: tuple[ifd.Entry, ...] = ()
    layout: ifd.Layout = LITTLE_ENDIAN
    alpha_kind: int = 2


@cache
def srgb_profile() -> bytes:
    """An sRGB ICC profile, the same bytes each time (its date of creation is set to that of sRGB's standard)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 1999, 10, 1, 0, 0, 0)
    profile[84:100] = bytes(16)
    return bytes(profile)


def is_rgb_profile(profile: bytes) -> bool:
    """Whether an ICC profile describes RGB data (ICC.1 section 7.2.6), so that it may stay on the result."""
    return len(profile) >= 128 and profile[16:20] == b"RGB "


def result_profile(profile: bytes | None) -> bytes | None:
    """The profile that the result gets: the original's if it describes RGB, sRGB for any other, none for none."""
    if profile is None or is_rgb_profile(profile):
        return profile
    return srgb_profile()


def profile_losses(profile: bytes | None) -> tuple[str, ...]:
    """What to tell about a profile that cannot stay."""
    return () if result_profile(profile) is profile else (GRAY_PROFILE_LOSS,)


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
