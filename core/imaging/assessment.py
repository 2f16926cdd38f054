"""What a page is, told from a sample of its pixels before anything is colorized.

Two questions are asked. Is it in color? Toning (sepia, cyanotype, selenium, split toning) gives every lightness one
color; a photograph in color has several at the same lightness. And has it any tones? Text and line drawings are paper
and ink, and whatever lies between is the slope of an edge; a photograph has calm areas of many tones. Pixels that are
fully transparent are not looked at, unless all are.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.imaging import lab
from core.imaging.arrays import Floats, Samples
from core.imaging.compiled import compiled
from core.imaging.scan import Page

Kind = Literal["gray", "toned", "color", "no_tones"]
Indices = NDArray[np.intp]

# What is read of a page at most: 40,000 places with four neighbors each, and 6,000 cells of 4 by 4 pixels.
PLACES = 40_000
CELLS = 6_000
CELL_PX = 4
# Neighbors are this many pixels away, and in large scans, whose edges are wide, this share of the short side.
NEIGHBOR_PX = 2
NEIGHBOR_SHARE = 1 / 800
GOLDEN = (np.sqrt(5) - 1) / 2

# The toning is a curve through this many colors, found in so many rounds; a color this far from it counts half.
KNOTS = 16
ROUNDS = 3
FAR_OUT = 4.0
# Prints yellow unevenly, so that a difference along the hue of yellowing paper (in degrees) counts less.
YELLOWING_HUE = 80
YELLOWING_WEIGHT = 0.5
# Color patches under 3 % of the area (stamps, rulers, color cards at the edge) do not count.
SPREAD_PERCENTILE = 97
# In CIELAB units, and as a share of the mean chroma, since JPEG smears strong toning. Of 595 photographs in color 95 %
# lie above; the others are of one hue or dull. Below lie all of 298 gray ones in each of six
# tonings, saved as JPEG, 99 % of those that were yellowed unevenly besides, and 99 % of orange duotones.
MOST_SPREAD = 6.0
MOST_SPREAD_PER_CHROMA = 0.25
# An eye tells about 2.3 from gray; 595 gray photographs with the noise of a color scan and JPEG all lie below.
LEAST_CHROMA = 2.0

# A place is calm where lightness differs by no more than this from its neighbors: not on the slope of an edge.
CALM = 6.0
# A page without tones has at most 0.1 % of calm places that lie further than this from both paper and ink. With the
# next three, that holds for 152 of 160 rendered pages of text, music and drawings, blurred, noisy and as JPEG (the
# others are faint), and for none of 1,280 gray photographs: as they are, as if by night or in fog, snow or against the
# light, of high and low key, and printed with screens of 4 to 16 pixels.
HALF_WINDOW = 6
MOST_OTHER_TONES = 0.001
# Without it, 9 of 99 photographs against the light and 2 of 40 printed ones would count as drawings.
LEAST_PAPER = 0.35
# Without it, 3 of 99 photographs against the light would; a solid black shape is one.
MOST_SOLID_INK = 0.2
# Without it, 135 of the 1,280 would, most of them in fog.
LEAST_CONTRAST = 45
# A page whose lightness differs by no more is blank.
CONSTANT = 2.0

# A result whose mean predicted chroma lies below is worth a warning: none of 119 photographs does (the least has 3.3),
# but a white or black page (0.8 to 1.4) and 7 of 20 photographs made as light as snow.
LITTLE_COLOR = 3.0


@dataclass(frozen=True)
class Assessment:
    """What a page is.

    Args:
        kind: "color"; "toned", of one color at each lightness; "gray"; or "no_tones", nothing but paper and ink.
        chroma: mean CIELAB chroma.
        spread: how far colors of the same lightness lie apart, in CIELAB units, for the 3 % that lie farthest out.
    """

    kind: Kind
    chroma: float = 0.0
    spread: float = 0.0


def assess(page: Page) -> Assessment:
    """What a page is, from about 300,000 of its pixels.

    A page of two levels, such as a 1-bit scan, always is "no_tones": at black and at white there is no room for color
    at the same lightness.
    """
    chroma, spread = _color(page) if page.samples.ndim == 3 else (0.0, 0.0)
    if spread > max(MOST_SPREAD, MOST_SPREAD_PER_CHROMA * chroma):
        return Assessment("color", chroma, spread)
    if _has_no_tones(page):
        return Assessment("no_tones", chroma, spread)
    return Assessment("toned" if chroma > LEAST_CHROMA else "gray", chroma, spread)


def _places(length: int, count: int) -> Indices:
    """About count positions in 0..length-1, in order, not evenly spaced: so that no printing screen keeps step."""
    if count >= length:
        return np.arange(length)
    step = np.arange(count)
    places: Indices = np.minimum((step + step * GOLDEN % 1) * (length / count), length - 1).astype(np.intp)
    return places


def _axes(height: int, width: int, most: int) -> tuple[Indices, Indices]:
    share = min(1.0, np.sqrt(most / (height * width)))
    return _places(height, max(1, round(height * share))), _places(width, max(1, round(width * share)))


def _color(page: Page) -> tuple[float, float]:
    """Mean chroma, and the spread of colors at the same lightness."""
    cells = _cells(page)
    if (cells == cells[..., :1]).all():
        return 0.0, 0.0
    values = lab.lab_from_rgb(page.tone.srgb(cells))
    ab = values[..., 1:]
    # Averages over a cell are free of a scanner's noise. The toning is taken off before: it is no straight line, so
    # that the average of two toned pixels need not be a color of the toning.
    residual = (ab - _toning(values[..., 0], ab)).mean(axis=1)
    chroma = np.hypot(*ab.mean(axis=1).T).mean()
    hue = np.radians(YELLOWING_HUE)
    along = residual @ np.array([np.cos(hue), np.sin(hue)], np.float32)
    across = residual @ np.array([-np.sin(hue), np.cos(hue)], np.float32)
    spread = np.percentile(np.hypot(across, YELLOWING_WEIGHT * along), SPREAD_PERCENTILE)
    return float(chroma), float(spread)


def _cells(page: Page) -> Samples:
    """Pixels of cells all over the page that have no transparent one, (cells, pixels of a cell, 3)."""
    down, across = min(CELL_PX, page.height), min(CELL_PX, page.width)
    tops, lefts = _axes(page.height // down, page.width // across, CELLS)
    rows = tops[:, None] * down + np.arange(down)
    columns = lefts[:, None] * across + np.arange(across)
    place = rows.ravel()[:, None], columns.ravel()

    def split(plane: NDArray[Any]) -> NDArray[Any]:
        blocks = plane[place].reshape(len(tops), down, len(lefts), across, -1).swapaxes(1, 2)
        cells: NDArray[Any] = blocks.reshape(len(tops) * len(lefts), down * across, -1)
        return cells

    cells: Samples = split(page.samples)
    return cells if page.alpha is None else _seen(cells, split(page.alpha)[..., 0])


def _seen(values: Samples, alpha: Samples) -> Samples:
    """The rows of values whose alpha, (rows, pixels), is 0 nowhere; all rows where there is no such."""
    is_seen = np.asarray(alpha.all(axis=1))
    return values[is_seen] if is_seen.any() else values


def _toning(lightness: Floats, ab: Floats) -> Floats:
    """The usual color at each lightness, linear between knots, of the same shape as ab.

    A mean in which colors count the less the farther out they lie, so that a stamp does not shift what is usual.
    """
    position = np.clip(lightness / 100 * KNOTS - 0.5, 0, KNOTS - 1).ravel()
    colors = ab.reshape(-1, 2)
    weight = np.ones_like(position)
    for _ in range(ROUNDS):
        toning = _means(position, colors, weight)
        weight = 1 / (1 + np.square((colors - toning) / FAR_OUT).sum(axis=1))
    return _means(position, colors, weight).reshape(ab.shape)


def _means(position: NDArray[Any], colors: Floats, weight: NDArray[Any]) -> Floats:
    """The weighted mean color at each knot, interpolated at each position."""
    below = np.minimum(position.astype(np.intp), KNOTS - 2)
    above_share = position - below

    def summed(values: NDArray[Any]) -> NDArray[np.float64]:
        total = np.zeros(KNOTS)
        total += np.bincount(below, (1 - above_share) * values, KNOTS)
        total += np.bincount(below + 1, above_share * values, KNOTS)
        return total

    total = np.maximum(summed(weight), 1e-6)
    planes = [np.interp(position, np.arange(KNOTS), summed(weight * plane) / total) for plane in colors.T]
    means: Floats = np.stack(planes, -1).astype(np.float32)
    return means


def _has_no_tones(page: Page) -> bool:
    samples = _neighborhoods(page)
    if ((samples == samples.min()) | (samples == samples.max())).all():
        return True
    lightness = page.tone.lightness(samples)
    if np.ptp(lightness) <= CONSTANT:
        return True
    middle = lightness[0]
    calm = middle[np.ptp(lightness, axis=0) <= CALM]
    paper, paper_share, ink_share, other_share = _two_tones(calm)
    share = calm.size / middle.size
    return bool(
        other_share * share <= MOST_OTHER_TONES
        and paper_share * share >= LEAST_PAPER
        and ink_share * share <= MOST_SOLID_INK
        and paper - np.percentile(middle, 0.1) >= LEAST_CONTRAST
    )


def _neighborhoods(page: Page) -> Samples:
    """Pixels all over the page, and those some way above, below, left and right of them: (5, places[, 3]).

    Places are left out where one of the five is transparent.
    """
    rows, columns = _axes(page.height, page.width, PLACES)
    away = max(NEIGHBOR_PX, round(NEIGHBOR_SHARE * min(page.height, page.width)))

    def gather(plane: NDArray[Any]) -> NDArray[Any]:
        found = np.empty((5, len(rows) * len(columns), *plane.shape[2:]), plane.dtype)
        channels = plane.reshape(*plane.shape[:2], -1)
        _gather(channels, rows, columns, away, found.reshape(*found.shape[:2], channels.shape[2]))
        return found

    samples: Samples = gather(page.samples)
    if page.alpha is None:
        return samples
    return np.ascontiguousarray(_seen(samples.swapaxes(0, 1), gather(page.alpha).T).swapaxes(0, 1))


@compiled
def _gather(plane: Samples, rows: Indices, columns: Indices, away: int, found: Samples) -> None:
    height, width, channels = plane.shape
    place = 0
    for y in rows:
        above, below = max(y - away, 0), min(y + away, height - 1)
        for x in columns:
            left, right = max(x - away, 0), min(x + away, width - 1)
            for channel in range(channels):
                found[0, place, channel] = plane[y, x, channel]
                found[1, place, channel] = plane[above, x, channel]
                found[2, place, channel] = plane[below, x, channel]
                found[3, place, channel] = plane[y, left, channel]
                found[4, place, channel] = plane[y, right, channel]
            place += 1


def _two_tones(calm: Floats) -> tuple[float, float, float, float]:
    """The tone that most calm pixels have, and the shares of those that have it, the second tone, and any other."""
    counts = np.bincount(calm.astype(np.intp), minlength=101).astype(np.float64)
    window = np.ones(2 * HALF_WINDOW)
    total = max(calm.size, 1)

    def take() -> tuple[int, float]:
        sums = np.convolve(counts, window, "valid")
        start = int(sums.argmax())
        counts[start : start + len(window)] = 0
        return start + HALF_WINDOW, float(sums[start]) / total

    first, first_share = take()
    _, second_share = take()
    return first, first_share, second_share, float(counts.sum()) / total
