"""Small upright JPEGs for web pages; browsers cannot show TIFF or 16 bits."""

import io

import numpy as np
from PIL import Image

from core.imaging.arrays import Samples

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def preview_jpeg(pixels: Samples, orientation: int = 1, edge_px: int = 1600, quality: int = 85) -> bytes:
    """An upright sRGB JPEG whose longest edge is at most edge_px; never enlarged.

    Args:
        pixels: uint8 or uint16, (H, W) gray or (H, W, 3) RGB, as they are stored.
        orientation: EXIF orientation 1..8 of the stored pixels.
        edge_px: longest edge in pixels.
        quality: JPEG quality 1..95.
    """
    image = Image.fromarray(_to_8_bit(pixels))
    share = min(1.0, edge_px / max(image.size))
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _to_8_bit(pixels: Samples) -> Samples:
    if pixels.dtype == np.uint8:
        return pixels
    # Rounded division by 257, so that 65535 becomes 255; within uint32 whatever the level.
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
