import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from skimage import data

from core.imaging import lab
from core.imaging.assessment import assess
from core.imaging.metadata import Metadata
from core.imaging.scan import Page

PHOTOGRAPHS = {name: getattr(data, name)() for name in ("astronaut", "coffee", "chelsea", "rocket")}
SEPIA = [(0, (20, 12, 6)), (128, (150, 115, 78)), (255, (250, 238, 205))]
CYANOTYPE = [(0, (5, 20, 60)), (128, (60, 110, 160)), (255, (235, 245, 250))]
SELENIUM = [(0, (22, 12, 20)), (128, (130, 120, 130)), (255, (248, 246, 246))]
SPLIT = [(0, (10, 15, 45)), (110, (105, 108, 125)), (170, (180, 165, 140)), (255, (255, 240, 210))]
DUOTONE = [(0, (0, 0, 0)), (128, (190, 70, 40)), (255, (255, 250, 235))]

needs_photographs = pytest.mark.skipif(
    "GRAY2HUE_PHOTOS" not in os.environ, reason="GRAY2HUE_PHOTOS names no folder of photographs"
)


def assessed(pixels, alpha=None):
    return assess(Page(np.ascontiguousarray(pixels), alpha, Metadata()))


def gray_of(rgb):
    return np.searchsorted(lab.lightness_table(256), lab.lightness_from_rgb(rgb)).clip(0, 255).astype(np.uint8)


def toned(gray, points):
    levels = [point[0] for point in points]
    curves = [np.interp(np.arange(256), levels, [point[1][channel] for point in points]) for channel in range(3)]
    return np.rint(np.stack(curves, -1)[gray]).astype(np.uint8)


def jpeg(pixels, quality):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, **({"subsampling": 2} if pixels.ndim == 3 else {}))
    return np.asarray(Image.open(buffer))


def yellowed_edges(rgb):
    rows, columns = (np.linspace(-1, 1, size) ** 8 for size in rgb.shape[:2])
    share = np.maximum(rows[:, None], columns)[..., None] * 0.6
    return np.rint(rgb * (1 - share + share * np.array([0.93, 0.80, 0.55]))).astype(np.uint8)


def text_page(width=1000, height=1400, size=30):
    image = Image.new("L", (width, height), 255)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size)
    for top in range(90, height - 90, round(size * 1.3)):
        draw.text((90, top), f"{top} letters and photographs of ships in the harbor"[: 30 + top % 19], 0, font)
    return np.asarray(image)


def line_drawing():
    image = Image.new("L", (900, 900), 255)
    draw = ImageDraw.Draw(image)
    for step in range(12):
        draw.ellipse((50 + 30 * step, 60, 500 + 25 * step, 800 - 20 * step), outline=0, width=3)
        draw.line((20, 40 + 70 * step, 880, 850 - 60 * step), 0, 2)
    return np.asarray(image)


def as_scanned(drawn, paper=225, ink=40, blur=0.7, noise=2.0):
    blurred = np.asarray(Image.fromarray(drawn).filter(ImageFilter.GaussianBlur(blur)), np.float32)
    grain = np.random.default_rng(1).normal(0, noise, drawn.shape)
    return np.rint(ink + (paper - ink) * blurred / 255 + grain).clip(0, 255).astype(np.uint8)


def with_lightness(rgb, change):
    wanted = change(lab.lightness_from_rgb(rgb))
    return np.searchsorted(lab.lightness_table(256), wanted).clip(0, 255).astype(np.uint8)


def halftone(gray, pitch):
    """Round dots of black on white, `pitch` pixels apart, each as large as its place is dark."""
    large = np.asarray(Image.fromarray(gray).resize((gray.shape[1] * 4, gray.shape[0] * 4), Image.Resampling.BICUBIC))
    rows, columns = np.indices(large.shape) * 2 * np.pi / pitch
    screen = (np.cos(rows * 0.8 + columns * 0.6) + np.cos(columns * 0.8 - rows * 0.6)) / 4 + 0.5
    return as_scanned(np.where((large / 255) ** 2 > screen, 255, 0).astype(np.uint8))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("scale", [1, 257])
def test_a_photograph_in_color_is_color_in_8_and_16_bits(name, scale):
    pixels = PHOTOGRAPHS[name].astype(np.uint8 if scale == 1 else np.uint16) * scale
    found = assessed(pixels)
    assert found.kind == "color"
    expected = np.hypot(*np.moveaxis(lab.lab_from_rgb(pixels)[..., 1:], -1, 0)).mean()
    assert found.chroma == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("gray", [data.camera(), data.moon(), data.coins(), *map(gray_of, PHOTOGRAPHS.values())])
def test_a_gray_photograph_is_gray_in_one_channel_and_in_three(gray):
    assert assessed(gray).kind == "gray"
    assert assessed(np.dstack([gray] * 3)).kind == "gray"
    assert assessed(gray.astype(np.uint16) * 257).kind == "gray"


def test_the_noise_of_a_color_scanner_is_no_color():
    noise = np.random.default_rng(2).normal(0, 6, (512, 512, 3))
    scan = np.rint(data.camera()[..., None] + noise).clip(0, 255).astype(np.uint8)
    assert assessed(jpeg(scan, 80)).kind == "gray"


@pytest.mark.parametrize("quality", [75, 95])
@pytest.mark.parametrize("points", [SEPIA, CYANOTYPE, SPLIT, DUOTONE], ids=["sepia", "cyanotype", "split", "duotone"])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_toning_is_told_from_color(name, points, quality):
    assert assessed(jpeg(toned(gray_of(PHOTOGRAPHS[name]), points), quality)).kind == "toned"


@pytest.mark.parametrize("points", [SEPIA, SELENIUM], ids=["sepia", "selenium"])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_print_with_yellowed_edges_is_toned(name, points):
    assert assessed(jpeg(yellowed_edges(toned(gray_of(PHOTOGRAPHS[name]), points)), 85)).kind == "toned"


def test_a_stamp_makes_no_photograph_of_a_print_in_color_but_a_tinted_quarter_does():
    print_ = toned(data.camera(), SEPIA)
    stamped = print_.copy()
    stamped[-90:-10, -90:-10] = (200, 30, 40)
    assert assessed(stamped).kind == "toned"
    tinted = print_.copy()
    tinted[:256, :256] = tinted[:256, :256] // 2 + np.array([20, 90, 20], np.uint8)
    assert assessed(tinted).kind == "color"


def hidden_on_the_left(pixels, share):
    alpha = np.full(pixels.shape[:2], np.iinfo(pixels.dtype).max, pixels.dtype)
    alpha[:, : round(share * pixels.shape[1])] = 0
    return alpha


@pytest.mark.parametrize("scale", [1, 257])
def test_colors_that_nobody_sees_are_no_color(scale):
    pixels = np.dstack([data.camera()] * 3)
    pixels[:, :60] = (200, 30, 40)
    pixels = pixels.astype(np.uint8 if scale == 1 else np.uint16) * scale
    assert assessed(pixels).kind == "color"
    found = assessed(pixels, hidden_on_the_left(pixels, 60 / pixels.shape[1]))
    assert found.kind == "gray"
    assert found.chroma == 0


def test_colors_beside_what_nobody_sees_and_those_that_are_half_seen_are_color():
    pixels = PHOTOGRAPHS["coffee"]
    alpha = hidden_on_the_left(pixels, 0.3)
    alpha[:, 300:] = 1
    assert assessed(pixels, alpha).kind == "color"


@pytest.mark.parametrize("channels", [1, 3])
def test_tones_that_nobody_sees_are_no_tones(channels):
    page = as_scanned(text_page())
    page[:, :300] = np.arange(300) % 200 + 30
    pixels = page if channels == 1 else np.dstack([page] * 3)
    assert assessed(pixels).kind == "gray"
    assert assessed(pixels, hidden_on_the_left(pixels, 0.3)).kind == "no_tones"


def test_a_page_whose_alpha_hides_all_is_assessed_as_if_it_had_none():
    for pixels, kind in [(PHOTOGRAPHS["coffee"], "color"), (data.camera(), "gray"), (text_page(), "no_tones")]:
        assert assessed(pixels, hidden_on_the_left(pixels, 1)).kind == kind


@pytest.mark.parametrize(
    "drawn", [text_page(), text_page(500, 700, 15), line_drawing()], ids=["text", "small", "lines"]
)
@pytest.mark.parametrize("quality", [None, 75, 92])
@pytest.mark.parametrize("paper", [255, 225, 205])
def test_text_and_line_drawings_have_no_tones(drawn, paper, quality):
    scan = as_scanned(drawn, paper)
    assert assessed(scan if quality is None else jpeg(scan, quality)).kind == "no_tones"


def test_yellow_paper_and_brown_ink_have_no_tones_either():
    assert assessed(jpeg(toned(as_scanned(text_page()), SEPIA), 85)).kind == "no_tones"


@pytest.mark.parametrize("drawn", [data.horse() * np.uint8(255), halftone(data.camera(), 6) // 128 * 255])
def test_pages_of_two_levels_have_no_tones_whatever_they_show(drawn):
    assert assessed(drawn.astype(np.uint8)).kind == "no_tones"


@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_pages_have_no_tones(level):
    assert assessed(np.full((300, 200), level, np.uint8)).kind == "no_tones"
    assert assessed(np.full((300, 200, 3), level, np.uint8)).kind == "no_tones"


HARD = {
    "night": lambda lightness: 100 * (lightness / 100) ** 4,
    "fog": lambda lightness: 65 + (lightness - 50) * 0.12,
    "snow": lambda lightness: 100 * (lightness / 100) ** 0.15,
    "high key": lambda lightness: np.minimum(100, 70 + lightness * 0.35),
    "low key": lambda lightness: np.maximum(0, lightness - 55) * 1.3,
    "silhouettes": lambda lightness: 90 / (1 + np.exp((np.median(lightness) - lightness) / 4)) + 3,
}


@pytest.mark.parametrize("change", HARD.values(), ids=HARD.keys())
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_of_few_tones_are_not_taken_for_drawings(name, change):
    pixels = with_lightness(PHOTOGRAPHS[name], change)
    assert assessed(pixels).kind == "gray"
    assert assessed(jpeg(pixels, 85)).kind == "gray"


def test_a_silhouette_is_not_taken_for_a_drawing():
    assert assessed(as_scanned(data.horse() * np.uint8(255))).kind == "gray"


def test_patterns_as_wide_as_the_steps_of_the_sample_hide_nothing():
    pixels = np.full((1232, 1232, 3), (60, 140, 60), np.uint8)
    rows, columns = np.indices((1232, 1232)) % 16
    pixels[(rows < 4) | (columns < 4)] = (150, 90, 90)
    assert assessed(pixels).kind == "color"


@pytest.mark.parametrize("pitch", [5, 8, 12, 16])
@pytest.mark.parametrize("gray", [data.camera(), gray_of(PHOTOGRAPHS["astronaut"])], ids=["camera", "astronaut"])
def test_printed_photographs_are_not_taken_for_drawings(gray, pitch):
    assert assessed(halftone(gray, pitch)).kind == "gray"


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_engravings_are_not_taken_for_drawings(name):
    gray = gray_of(PHOTOGRAPHS[name])
    large = np.asarray(Image.fromarray(gray).resize((gray.shape[1] * 4, gray.shape[0] * 4), Image.Resampling.BICUBIC))
    lines = np.abs(np.arange(len(large)) % 14 / 7 - 1)[:, None]
    assert assessed(as_scanned(np.where(0.35 + large / 510 > lines, 255, 0).astype(np.uint8))).kind == "gray"


def test_a_page_of_text_with_a_photograph_in_it_is_gray():
    page = as_scanned(text_page())
    page[200:500, 300:700] = data.camera()[100:400, 50:450]
    assert assessed(page).kind == "gray"


def test_the_answer_does_not_depend_on_the_size_of_the_scan():
    gray, color = data.camera(), PHOTOGRAPHS["coffee"]
    for factor in (0.25, 8):
        size = round(512 * factor), round(512 * factor)
        assert assessed(np.asarray(Image.fromarray(gray).resize(size))).kind == "gray"
        assert assessed(np.asarray(Image.fromarray(color).resize(size))).kind == "color"
    assert assessed(as_scanned(text_page(3000, 4200, 90), blur=4)).kind == "no_tones"


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (2, 3), (3, 900)])
def test_pictures_of_a_few_pixels_are_assessed(shape):
    random = np.random.default_rng(3)
    assert assessed(random.integers(0, 256, shape, np.uint8)).kind in ("gray", "no_tones")
    assert assessed(random.integers(0, 256, (*shape, 3), np.uint8)).kind in ("color", "toned", "no_tones")


def test_levels_are_read_through_the_tone_of_the_page():
    class Dark:
        """Whatever the levels say, all is one dark gray."""

        def lightness(self, samples):
            return np.full(samples.shape[:2], 20, np.float32)

        def lightness_table(self, bit_depth):
            return np.full(1 << bit_depth, 20, np.float32)

        def srgb(self, samples):
            return np.full_like(samples, 48)

    assert assess(Page(PHOTOGRAPHS["coffee"], None, Metadata(), Dark())).kind == "no_tones"


@pytest.fixture(scope="module")
def collection():
    """Every fifth of 595 color photographs, uint8 (H, W, 3)."""
    with tarfile.open(Path(os.environ["GRAY2HUE_PHOTOS"]) / "val.tar") as archive:
        files = [archive.extractfile(member).read() for member in archive if member.isfile()][::5]
    return [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]


@needs_photographs
def test_most_color_photographs_are_found_and_none_is_lost_when_gray(collection):
    assert np.mean([assessed(photograph).kind == "color" for photograph in collection]) > 0.9
    assert {assessed(gray_of(photograph)).kind for photograph in collection} == {"gray"}


@needs_photographs
@pytest.mark.parametrize("points", [SEPIA, CYANOTYPE, SELENIUM, SPLIT], ids=["sepia", "cyanotype", "selenium", "split"])
def test_toned_photographs_are_not_taken_for_color(collection, points):
    kinds = [assessed(jpeg(toned(gray_of(photograph), points), 80)).kind for photograph in collection]
    assert kinds.count("color") <= len(kinds) * 0.01
