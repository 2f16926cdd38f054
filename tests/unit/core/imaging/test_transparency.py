import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.imaging.codec import encode
from core.imaging.output import ArrayPage, Output
from core.imaging.transparency import DividedPage, divided


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@given(seed=st.integers(0, 2**32 - 1))
def test_colors_are_divided_by_alpha_and_rounded(kind, seed):
    top = int(np.iinfo(kind).max)
    rng = np.random.default_rng(seed)
    alpha = rng.choice([1, 2, top // 2, top - 1, top, int(rng.integers(1, top))], (3, 40)).astype(kind)
    colors = rng.integers(0, alpha[..., None].astype(np.int64) + 1, (3, 40, 3)).astype(kind)
    exact = colors.astype(np.float64) * top / alpha[..., None]
    found = divided(colors, alpha)
    assert found.dtype == kind
    assert np.abs(found - exact).max() <= 0.5
    again = np.rint(found.astype(np.float64) * alpha[..., None] / top)
    assert (again == colors).all()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_full_alpha_changes_nothing_and_no_alpha_gives_black(kind):
    top = int(np.iinfo(kind).max)
    colors = np.repeat(np.arange(0, top + 1, top // 255).astype(kind)[None, :, None], 3, axis=2)
    assert (divided(colors, np.full(colors.shape[:2], top, kind)) == colors).all()
    assert (divided(colors, np.zeros(colors.shape[:2], kind)) == 0).all()


def test_colors_past_alpha_end_at_the_top():
    assert (divided(np.full((1, 1, 3), 65535, np.uint16), np.ones((1, 1), np.uint16)) == 65535).all()


def test_rows_meet_their_own_alpha():
    alpha = np.arange(1, 201, dtype=np.uint8).reshape(20, 10)
    colors = np.repeat((alpha // 2)[..., None], 3, axis=2)

    class Banded(ArrayPage):
        def bands(self):
            for top in range(0, self.height, 7):
                yield self.pixels[top : top + 7]

    page = DividedPage(Banded(colors), alpha)
    assert (page.height, page.width, page.bit_depth) == (20, 10, 8)
    assert (np.concatenate(list(page.bands())) == divided(colors, alpha)).all()


@pytest.mark.parametrize("target", ["PNG", "WebP", "BMP", "AVIF"])
def test_multiplied_colors_become_straight_where_the_format_has_no_others_and_it_is_told(
    color, read, save_tiff, write_as, target
):
    top = 255
    alpha = np.tile(np.array([0, 64, 128, 255], np.uint8), (251, 100))
    multiplied = np.rint(color * (alpha / top)[..., None]).astype(np.uint8)
    content = save_tiff(np.dstack([multiplied, alpha]), photometric="rgb", extrasamples=["assocalpha"])
    result, losses = write_as(content, target, quality=100)
    assert any("multiplied by alpha" in loss and target in loss for loss in losses)
    found = read(result)
    assert (found.alpha == alpha).all()
    assert (found.first.samples == divided(multiplied, alpha)).all()
    seen = alpha >= 64
    assert np.abs(found.first.samples.astype(int) - color)[seen].max() <= 2


def test_multiplied_colors_of_16_bits_become_straight(color, read, save_tiff, write_as):
    alpha = np.tile(np.array([0, 9000, 40000, 65535], np.uint16), (251, 100))
    wide = color.astype(np.uint16) * 257
    multiplied = np.rint(wide * (alpha / 65535)[..., None]).astype(np.uint16)
    content = save_tiff(np.dstack([multiplied, alpha]), photometric="rgb", extrasamples=["assocalpha"])
    found = read(write_as(content, "PNG")[0])
    assert (found.alpha == alpha).all()
    assert np.abs(found.first.samples.astype(int) - wide)[alpha > 0].max() <= 4
    assert (found.first.samples[alpha == 0] == 0).all()


def test_multiplied_colors_stay_so_where_the_format_can_tell_or_alpha_is_full(color, save_tiff, write_as):
    half = np.full(color.shape[:2], 128, np.uint8)
    content = save_tiff(np.dstack([color // 2, half]), photometric="rgb", extrasamples=["assocalpha"])
    for target in ("TIFF", "JPEG 2000"):
        assert not any("multiplied" in loss for loss in write_as(content, target)[1])
    full = save_tiff(np.dstack([color, half | 255]), photometric="rgb", extrasamples=["assocalpha"])
    assert not any("multiplied" in loss for loss in write_as(full, "PNG")[1])


@pytest.mark.parametrize("target", ["WebP", "BMP"])
def test_alpha_of_16_bits_is_rounded_with_the_colors(read, save_tiff, target):
    pixels = np.random.default_rng(3).integers(0, 65536, (20, 30, 4), np.uint16)
    scan = read(save_tiff(pixels, photometric="rgb", extrasamples=["unassalpha"]))
    stream = io.BytesIO()
    encode([ArrayPage(scan.first.samples)], scan, Output(target, quality=100), stream)
    found = read(stream.getvalue())
    assert (found.alpha == np.rint(pixels[..., 3] / 257)).all()
    assert (found.first.samples == np.rint(pixels[..., :3] / 257)).all()
