import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from skimage import data

from core.training.filtering import Duplicates, fingerprint_of, judge
from core.training.resampling import shrunk

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


def photograph(name: str) -> np.ndarray:
    return getattr(data, name)()


def gray_levels(rgb: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb).convert("L"))


def toned(rgb: np.ndarray, dark: tuple, middle: tuple, light: tuple) -> np.ndarray:
    """A toned print of a photograph, as JPEG stores it."""
    curves = [np.interp(np.arange(256), (0, 128, 255), levels) for levels in zip(dark, middle, light, strict=True)]
    return saved_as_jpeg(np.rint(np.stack(curves, -1)[gray_levels(rgb)]).astype(np.uint8), 80)


def saved_as_jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_color_photograph_is_taken(name):
    assert judge(photograph(name)).code == ""


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_gray_photograph_is_told_by_its_code(name):
    assert judge(np.dstack([gray_levels(photograph(name))] * 3)).code == "gray"


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize(
    "tones",
    [
        pytest.param(((35, 20, 10), (160, 120, 75), (250, 235, 205)), id="sepia"),
        pytest.param(((5, 25, 60), (60, 120, 170), (235, 245, 250)), id="cyanotype"),
        pytest.param(((0, 15, 70), (20, 90, 180), (225, 240, 255)), id="deep cyanotype"),
        pytest.param(((25, 15, 20), (130, 115, 120), (245, 240, 242)), id="selenium"),
    ],
)
def test_a_toned_print_is_told_by_its_code(name, tones):
    assert judge(toned(photograph(name), *tones)).code == "toned"


def test_a_strong_color_of_one_hue_is_no_toning():
    lightness = gray_levels(photograph("chelsea")).astype(float)[..., None] / 255
    side = np.linspace(0, 1, lightness.shape[1])[None, :, None]
    sunset = lightness * ((1 - side) * np.array([255, 90, 0]) + side * np.array([255, 160, 40]))
    assert judge(sunset.astype(np.uint8)).code == ""


def test_a_gray_photograph_with_a_little_pale_color_in_it_is_dull():
    rgb = np.dstack([gray_levels(photograph("coffee"))] * 3).astype(float)
    rgb[: len(rgb) // 16] += (25, 0, -5)
    found = judge(rgb.clip(0, 255).astype(np.uint8))
    assert found.code == "dull"
    assert 0 < found.colorfulness < 10


def test_a_tiny_picture_is_too_small():
    assert judge(photograph("astronaut")[:95]).code == "too_small"
    assert judge(photograph("astronaut")[:96]).code == ""


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda rgb: shrunk(rgb, 150), id="smaller"),
        pytest.param(lambda rgb: saved_as_jpeg(rgb, 40), id="JPEG of quality 40"),
        pytest.param(lambda rgb: np.uint8(255 * (rgb / 255) ** 0.8), id="brighter"),
    ],
)
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_the_same_photograph_in_another_form_is_a_duplicate(name: str, change: Callable):
    known = Duplicates()
    known.add(fingerprint_of(photograph(name)))
    assert known.has(fingerprint_of(change(photograph(name))))


def test_other_photographs_and_mirrored_ones_are_no_duplicates():
    known = Duplicates()
    for name in PHOTOGRAPHS:
        for rgb in (photograph(name), photograph(name)[:, ::-1]):
            fingerprint = fingerprint_of(rgb)
            assert not known.has(fingerprint)
            known.add(fingerprint)


def test_a_set_of_duplicates_grows_beyond_its_first_room():
    known = Duplicates(near_bits=0)
    for number in range(3000):
        known.add(f"{number:016x}")
    assert known.has(f"{0:016x}")
    assert known.has(f"{2999:016x}")
    assert not known.has(f"{3000:016x}")


def test_a_fingerprint_has_sixteen_hexadecimal_digits():
    found = judge(photograph("rocket")).fingerprint
    assert len(found) == 16
    assert int(found, 16) >= 0
