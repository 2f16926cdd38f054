import numpy as np
import pytest
from PIL import Image, ImageOps

from core.imaging.orientation import stored, upright

PIXELS = np.arange(24, dtype=np.uint8).reshape(4, 6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_agrees_with_pillows_reading_of_the_tag(orientation):
    image = Image.fromarray(PIXELS)
    image.getexif()[274] = orientation
    assert (upright(PIXELS, orientation) == np.asarray(ImageOps.exif_transpose(image))).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_stored_undoes_upright(orientation):
    pixels = np.dstack([PIXELS, PIXELS + 100])
    assert (stored(upright(pixels, orientation), orientation) == pixels).all()
