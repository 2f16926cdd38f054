"""Scans in inks, brought to sRGB when they are decoded: results are RGB in any case."""

import numpy as np
from numpy.typing import NDArray

from core.imaging.profiles import BLACK_POINT_COMPENSATION, ProfileError, convert, description, is_usable

BAND_PIXELS = 1 << 22

Bytes = NDArray[np.uint8]


def rgb_from_cmyk(inks: Bytes, profile: bytes | None, inverted: bool) -> tuple[Bytes, str]:
    """sRGB pixels, uint8 (H, W, 3), and in words how they came to be.

    With a profile relative colorimetric with black point compensation, else by multiplying the light that each ink
    lets through.

    Args:
        inks: uint8 (H, W, 4), cyan, magenta, yellow, black.
        profile: theirs; one that does not describe inks or cannot be read is not used.
        inverted: whether 255 is no ink, as in Adobe's JPEG files, instead of full ink.
    """
    if profile is not None and is_usable(profile, b"CMYK"):
        try:
            rgb = _in_bands(inks, inverted, profile)
        except ProfileError:
            pass
        else:
            name = description(profile) or "unnamed"
            return rgb, f"the inks of CMYK, converted to sRGB with the profile '{name}'"
    return _in_bands(inks, inverted, None), "the inks of CMYK, converted to sRGB without a profile"


def _in_bands(inks: Bytes, inverted: bool, profile: bytes | None) -> Bytes:
    rgb = np.empty((*inks.shape[:2], 3), np.uint8)
    rows = max(1, BAND_PIXELS // inks.shape[1])
    for top in range(0, len(inks), rows):
        band = inks[top : top + rows]
        if profile is None:
            rgb[top : top + rows] = _light(band if inverted else ~band)
        else:
            rgb[top : top + rows] = convert(~band if inverted else band, profile, BLACK_POINT_COMPENSATION)
    return rgb


def _light(transmitted: Bytes) -> Bytes:
    product = transmitted[..., :3].astype(np.uint16) * transmitted[..., 3:]
    return ((product + np.uint16(127)) // np.uint16(255)).astype(np.uint8)
