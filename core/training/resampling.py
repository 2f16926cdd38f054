"""Crops of a picture brought to another size, in one compiled loop that lets other threads run."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.imaging.arrays import Floats
from core.imaging.compiled import compiled

Pixels = NDArray[np.uint8]


def resampled(rgb: Pixels, box: tuple[float, float, float, float], height: int, width: int, mirrored: bool) -> Pixels:
    """A box of a picture at another size, uint8 (height, width, 3).

    Where it shrinks, each pixel is the mean over its area; where it grows, it is interpolated linearly.

    Args:
        rgb: uint8 (H, W, 3).
        box: top, left, height and width in pixels of rgb, not necessarily whole ones, inside of it.
        height: rows of the result.
        width: pixels per row of the result.
        mirrored: whether left and right change sides.
    """
    top, left, box_height, box_width = box
    first_row, down = _taps(top, box_height, height, rgb.shape[0])
    first_column, across = _taps(left, box_width, width, rgb.shape[1])
    if mirrored:
        first_column, across = first_column[::-1].copy(), across[::-1].copy()
    result = np.empty((height, width, 3), np.uint8)
    _resample(np.ascontiguousarray(rgb), first_row, down, first_column, across, result)
    return result


def shrunk(rgb: Pixels, edge_px: int) -> Pixels:
    """The picture with its short side at edge_px, or as it is where that is not longer."""
    height, width = rgb.shape[:2]
    scale = edge_px / min(height, width)
    if scale >= 1:
        return rgb
    small = (max(edge_px, round(height * scale)), max(edge_px, round(width * scale)))
    return resampled(rgb, (0, 0, height, width), *small, mirrored=False)


@compiled
def _taps(start: float, length: float, count: int, size: int) -> Any:
    """Along one axis: the first source pixel of each result pixel, int64 (count,), and the weights from there on."""
    scale = length / count
    most = int(np.ceil(max(scale, 1.0))) + 2
    first = np.empty(count, np.int64)
    weights = np.zeros((count, most), np.float32)
    for i in range(count):
        low, high = start + i * scale, start + (i + 1) * scale
        if scale < 1:
            middle = (low + high) / 2
            low, high = middle - 0.5, middle + 0.5
        begin = int(np.floor(low))
        kept = min(max(begin, 0), size - 1)
        first[i] = kept
        for tap in range(most):
            share = min(high, begin + tap + 1.0) - max(low, begin + tap + 0.0)
            if share > 0:
                place = min(max(begin + tap, 0), size - 1)
                weights[i, place - kept] += np.float32(share / (high - low))
    return first, weights


@compiled
def _resample(rgb: Pixels, first_row: Any, down: Floats, first_column: Any, across: Floats, result: Pixels) -> None:
    height, width = result.shape[:2]
    low = first_column.min()
    high = min(first_column.max() + across.shape[1], rgb.shape[1])
    # Rows as plain runs of numbers are what the compiler makes vector instructions of.
    lines = rgb.reshape(rgb.shape[0], -1)[:, 3 * low : 3 * high]
    line = np.empty(lines.shape[1], np.float32)
    for y in range(height):
        line[:] = 0
        for tap in range(down.shape[1]):
            weight = down[y, tap]
            if weight > 0:
                row = lines[first_row[y] + tap]
                for i in range(len(line)):
                    line[i] += weight * np.float32(row[i])
        for x in range(width):
            red = green = blue = np.float32(0.5)
            start = 3 * (first_column[x] - low)
            for tap in range(across.shape[1]):
                weight = across[x, tap]
                if weight > 0:
                    red += weight * line[start + 3 * tap]
                    green += weight * line[start + 3 * tap + 1]
                    blue += weight * line[start + 3 * tap + 2]
            result[y, x, 0], result[y, x, 1], result[y, x, 2] = np.uint8(red), np.uint8(green), np.uint8(blue)
