from dataclasses import dataclass

import numpy as np
import pytest
from skimage import data

from core.imaging import lab
from core.imaging.mark import MOST, Marked
from core.imaging.metadata import Metadata
from core.imaging.orientation import stored, upright
from core.imaging.output import ArrayPage, whole
from core.imaging.scan import Page

PHOTOGRAPH = data.coffee()


@dataclass(frozen=True, eq=False)
class RowsAtATime(ArrayPage):
    """A page that comes in bands of a few rows."""

    rows: int = 7

    def bands(self):
        for top in range(0, self.height, self.rows):
            yield self.pixels[top : top + self.rows]


def in_one(page):
    return np.concatenate(list(page.bands()))


def marked(pixels, orientation=1, kind=ArrayPage):
    return in_one(Marked(kind(pixels), Page(pixels, None, Metadata(orientation=orientation))))


def covered(pixels):
    """The rows and columns that the mark changed."""
    changed = (marked(pixels) != pixels).any(axis=-1)
    return np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))


@pytest.mark.parametrize("size", [(1000, 1500), (1500, 1000), (300, 4000)])
def test_the_mark_is_small_and_at_the_bottom_right(size):
    rows, columns = covered(np.full((*size, 3), 200, np.uint8))
    assert 0.02 < len(rows) / min(size) < 0.06
    assert len(columns) < size[1] * MOST
    assert rows[0] > size[0] * 0.85
    assert columns[0] > size[1] * 0.75
    assert rows[-1] < size[0] - 1
    assert columns[-1] < size[1] - 1


def test_all_pixels_outside_of_the_mark_stay():
    rows, columns = covered(PHOTOGRAPH)
    result = marked(PHOTOGRAPH)
    assert (result[: rows[0]] == PHOTOGRAPH[: rows[0]]).all()
    assert (result[:, : columns[0]] == PHOTOGRAPH[:, : columns[0]]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_mark_is_seen_upright_whatever_way_the_scan_is_stored(orientation):
    as_stored = np.ascontiguousarray(stored(PHOTOGRAPH, orientation))
    assert (upright(marked(as_stored, orientation), orientation) == marked(PHOTOGRAPH)).all()


@pytest.mark.parametrize("shade", [0, 60, 128, 200, 255])
def test_the_word_stands_out_on_dark_and_light_pictures(shade):
    picture = np.full((700, 900, 3), shade, np.uint8)
    rows, columns = covered(picture)
    plate = marked(picture)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, 1]
    word, ground = lab.linear_from_srgb(np.array([plate.max(), plate.min()]) / 255)
    assert (word + 0.05) / (ground + 0.05) > 4.5  # what WCAG 2 asks of text
    assert 0.05 < (plate > (int(plate.max()) + int(plate.min())) / 2).mean() < 0.5


def test_sixteen_bit_pages_get_the_same_mark_in_sixteen_bits():
    result = marked(PHOTOGRAPH.astype(np.uint16) * 257)
    assert result.dtype == np.uint16
    assert np.abs(result / 257 - marked(PHOTOGRAPH)).max() <= 0.51
    assert (result % 257 != 0).any()


@pytest.mark.parametrize("kind", [RowsAtATime, lambda pixels: RowsAtATime(pixels, 1)])
def test_the_mark_does_not_depend_on_the_bands(kind):
    assert (marked(PHOTOGRAPH, kind=kind) == marked(PHOTOGRAPH)).all()


def test_the_unmarked_page_is_left_alone():
    pixels = PHOTOGRAPH.copy()
    marked(pixels)
    assert (pixels == PHOTOGRAPH).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (40, 40), (30, 900), (900, 150)])
def test_pictures_too_small_for_a_legible_mark_stay_as_they_are(size):
    pixels = np.full((*size, 3), 90, np.uint8)
    assert (marked(pixels) == pixels).all()


def test_a_marked_page_tells_the_size_and_depth_of_the_page():
    page = Marked(ArrayPage(PHOTOGRAPH), Page(PHOTOGRAPH, None, Metadata()))
    assert (page.height, page.width, page.bit_depth) == (*PHOTOGRAPH.shape[:2], 8)
    assert (whole(page) == in_one(page)).all()
