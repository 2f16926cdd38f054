"""Samples as decoders give them, brought to what is worked with: 8 or 16 bits, colors apart from alpha; and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.imaging.arrays import Samples

ROWS_AT_ONCE = 256


def stretch(samples: NDArray[Any], bits: int) -> Samples:
    """Samples of 1..16 bits over the full range of 8 or 16, rounded; the same array where nothing is to be done.

    Args:
        samples: unsigned, (H, ...), none of them past what the bits can hold.
        bits: significant bits of each.
    """
    kind: type[np.uint8 | np.uint16] = np.uint8 if bits <= 8 else np.uint16
    if bits in (8, 16):
        return samples.astype(kind, copy=False)
    top = (1 << bits) - 1
    levels = np.rint(np.arange(top + 1) * (np.iinfo(kind).max / top)).astype(kind)
    return looked_up(levels, samples)


def squeeze(samples: Samples, bits: int) -> Samples:
    """Samples of 16 bits brought to the range of 9..16, rounded."""
    if bits == 16:
        return samples
    levels = np.rint(np.arange(1 << 16) * (((1 << bits) - 1) / 0xFFFF)).astype(np.uint16)
    return looked_up(levels, samples)


def to_8_bit(samples: Samples) -> Samples:
    """Samples of 16 bits rounded to 8, so that 65535 becomes 255; those of 8 bits as they are."""
    if samples.dtype == np.uint8:
        return samples
    # Within uint32 whatever the level.
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def looked_up(levels: Samples, indices: NDArray[Any]) -> Samples:
    """levels[indices] for levels of (N,) or (N, channels); indices past the last level get the last."""
    # Some rows at a time, since NumPy makes indices of 8 bytes each.
    found: Samples = np.empty((*indices.shape, *levels.shape[1:]), levels.dtype)
    for top in range(0, len(indices), ROWS_AT_ONCE):
        rows = slice(top, top + ROWS_AT_ONCE)
        np.take(levels, indices[rows], axis=0, out=found[rows], mode="clip")
    return found


def split_alpha(pixels: Samples) -> tuple[Samples, Samples | None]:
    """Colors, (H, W) or (H, W, 3), and alpha, (H, W) or None, of (H, W) or (H, W, 1 to 4); each in one piece."""
    if pixels.ndim == 2:
        return pixels, None
    channels = pixels.shape[2]
    alpha = pixels[..., -1].copy() if channels in (2, 4) else None
    return np.ascontiguousarray(pixels[..., 0] if channels <= 2 else pixels[..., :3]), alpha
