import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.imaging.output import ArrayPage
from core.imaging.pieces import pieces


class Banded(ArrayPage):
    """A page that gives some rows at a time, in an array that it uses again and again."""

    step = 1

    def bands(self):
        buffer = np.empty((self.step, *self.pixels.shape[1:]), self.pixels.dtype)
        for top in range(0, self.height, self.step):
            band = self.pixels[top : top + self.step]
            buffer[: len(band)] = band
            yield buffer[: len(band)]


@given(height=st.integers(1, 40), step=st.integers(1, 45), rows=st.integers(1, 45), with_alpha=st.booleans())
def test_any_bands_are_cut_into_any_pieces(height, step, rows, with_alpha):
    pixels = np.random.default_rng(height).integers(0, 65536, (height, 3, 3), np.uint16)
    alpha = pixels[..., 0] ^ 1 if with_alpha else None
    page = Banded(pixels)
    object.__setattr__(page, "step", step)
    found = [piece.copy() for piece in pieces(page, alpha, rows)]
    assert [len(piece) for piece in found[:-1]] == [rows] * (len(found) - 1)
    assert 1 <= len(found[-1]) <= rows
    whole = np.concatenate(found)
    assert (whole[..., :3] == pixels).all()
    assert whole.shape[2] == (4 if with_alpha else 3)
    assert alpha is None or (whole[..., 3] == alpha).all()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_pieces_have_the_type_of_the_page(kind):
    assert next(pieces(ArrayPage(np.zeros((2, 2, 3), kind)), None, 9)).dtype == kind
