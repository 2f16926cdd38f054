import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from core.imaging.preview import preview_jpeg


def opened(content):
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize(("orientation", "size"), [(1, (200, 126)), (3, (200, 126)), (6, (126, 200)), (8, (126, 200))])
def test_preview_is_upright_and_its_longest_edge_as_asked(color, orientation, size):
    image = opened(preview_jpeg(color, orientation, 200))
    assert image.format == "JPEG"
    assert image.size == size


def test_preview_is_never_enlarged(gray):
    assert opened(preview_jpeg(gray, 1, 5000)).size == (301, 251)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_preview_shows_the_corner_where_it_belongs(orientation):
    pixels = np.zeros((80, 120), np.uint8)
    pixels[:40, :60] = 255
    image = Image.fromarray(pixels)
    image.getexif()[274] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=image.getexif())
    expected = np.asarray(ImageOps.exif_transpose(opened(buffer.getvalue())))
    shown = np.asarray(opened(preview_jpeg(pixels, orientation, 400)))
    assert np.abs(shown.astype(int) - expected).mean() < 3


def test_preview_of_16_bits_shows_the_same_tones(color):
    wide = color.astype(np.uint16) * 257
    assert preview_jpeg(wide, 1, 100) == preview_jpeg(color, 1, 100)


def test_preview_of_a_thin_strip_keeps_at_least_one_pixel():
    assert opened(preview_jpeg(np.zeros((1, 5000), np.uint8), 1, 480)).size == (480, 1)
