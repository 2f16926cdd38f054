import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from core.imaging.metadata import Metadata
from core.imaging.output import ArrayPage
from core.imaging.preview import ReducedPage, Reduction, jpegs, reduce_original
from core.imaging.scan import Page


def opened(content):
    return Image.open(io.BytesIO(content))


def reduced(pixels, edge_px, orientation=1):
    return reduce_original(Page(pixels, None, Metadata(orientation=orientation)), edge_px)


@pytest.mark.parametrize(("orientation", "size"), [(1, (200, 126)), (3, (200, 126)), (6, (126, 200)), (8, (126, 200))])
def test_a_reduction_is_upright_and_its_longest_edge_as_asked(color, orientation, size):
    assert reduced(color, 200, orientation).size == size


def test_nothing_is_ever_enlarged(gray):
    image = reduced(gray, 5000)
    assert image.size == (301, 251)
    assert [opened(content).size for content in jpegs(image, (4000, 2000))] == [(301, 251)] * 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_corner_is_shown_where_it_belongs(orientation):
    pixels = np.zeros((80, 120), np.uint8)
    pixels[:40, :60] = 255
    image = Image.fromarray(pixels)
    image.getexif()[274] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=image.getexif())
    expected = np.asarray(ImageOps.exif_transpose(opened(buffer.getvalue())))
    assert (np.asarray(reduced(pixels, 400, orientation)) == expected).all()


def test_16_bits_show_the_same_tones(color):
    wide = color.astype(np.uint16) * 257
    assert (np.asarray(reduced(wide, 100)) == np.asarray(reduced(color, 100))).all()


def test_a_thin_strip_keeps_at_least_one_pixel():
    assert reduced(np.zeros((1, 5000), np.uint8), 480).size == (480, 1)


def test_rows_that_come_in_bands_give_the_picture_that_pillow_makes_of_all(color):
    reduction = Reduction(251, 400, 120)
    for top in range(0, 251, 17):
        reduction.add(color[top : top + 17])
    expected = np.asarray(Image.fromarray(color).resize((120, 75), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(np.asarray(reduction.image()) - expected).max() <= 2


def test_a_page_that_is_read_through_stays_as_it_is_and_leaves_its_copy(color):
    page = ReducedPage(ArrayPage(color), 100)
    assert (np.concatenate(list(page.bands())) == color).all()
    assert page.reduction.image().size == (100, 63)


def test_jpegs_come_in_the_sizes_asked_for(color):
    large, small = (opened(content) for content in jpegs(Image.fromarray(color), (300, 80)))
    assert (large.format, large.size, small.size) == ("JPEG", (300, 188), (80, 50))
