import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import color as reference

from core.imaging.metadata import srgb_profile
from core.imaging.profiles import convert, description, is_usable, tone_of
from core.imaging.tone import SRGB

D65 = [0.3127, 0.3290, 1.0]
ADOBE = {"primaries": [0.64, 0.33, 1.0, 0.21, 0.71, 1.0, 0.15, 0.06, 1.0], "gamma": 2.19921875}
# The middle rows of XYZ under D65 of Adobe RGB (1998) annex B and of Display P3 (SMPTE EG 432-1).
LUMINANCE = {"adobe": [0.29734, 0.62736, 0.07529], "p3": [0.22897, 0.69174, 0.07929]}
P3_COLORANTS = [(0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)]
SRGB_COLORANTS = [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141)]


def lightness(luminance):
    return 116 * np.where(luminance > 216 / 24389, np.cbrt(luminance), luminance * 24389 / 27 / 116 + 16 / 116) - 16


def srgb_curve(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


@pytest.fixture(scope="session")
def adobe():
    return bytes(imagecodecs.cms_profile("rgb", whitepoint=D65, **ADOBE))


@pytest.fixture(scope="session")
def pixels():
    return np.random.default_rng(5).integers(0, 65536, (90, 70, 3), np.uint16)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
def test_gray_with_a_gamma_has_the_lightness_of_its_formula(gamma, kind):
    tone, losses = tone_of(bytes(imagecodecs.cms_profile("gray", gamma=gamma)), gray=True)
    levels = np.arange(np.iinfo(kind).max + 1).astype(kind)
    expected = lightness((levels / levels[-1]) ** gamma)
    assert np.abs(tone.lightness(levels[None])[0] - expected).max() < 0.001
    assert (tone.lightness_table(8 * kind().itemsize) == tone.lightness(levels)).all()
    assert any("ICC profile 'gray built-in'" in loss and "sRGB now" in loss for loss in losses)


def test_gray_with_a_table_of_dot_gain_has_the_lightness_of_that_table(build_profile, curve):
    dots = np.linspace(0, 1, 256)
    # Ink spreads by a fifth of the paper in the middle tones; light is what the dots leave free.
    table = 1 - ((1 - dots) + 0.2 * 4 * dots * (1 - dots) * 0.9)
    table = np.clip(table - table[0], 0, None) / (table[-1] - table[0])
    profile = build_profile(b"GRAY", {b"kTRC": curve(table)}, device=b"prtr", name="Dot Gain 20%")
    tone, losses = tone_of(profile, gray=True)
    levels = np.arange(65536, dtype=np.uint16)
    expected = lightness(np.interp(levels / 65535, dots, np.rint(table * 65535) / 65535))
    assert np.abs(tone.lightness(levels) - np.maximum.accumulate(expected)).max() < 0.02
    assert losses == ("the ICC profile 'Dot Gain 20%' (colors are in sRGB now)",)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_adobe_rgb_has_the_lightness_of_its_formula(adobe, pixels, kind):
    tone, _ = tone_of(adobe, gray=False)
    some = pixels if kind is np.uint16 else (pixels >> 8).astype(np.uint8)
    expected = lightness((some / np.iinfo(kind).max) ** ADOBE["gamma"] @ LUMINANCE["adobe"])
    assert np.abs(tone.lightness(some) - expected).max() < 0.01
    assert tone.lightness(some).dtype == np.float32


def test_display_p3_has_the_lightness_of_its_formula(matrix_profile, pixels):
    profile = matrix_profile(srgb_curve(np.linspace(0, 1, 4096)), P3_COLORANTS)
    tone, losses = tone_of(profile, gray=False)
    assert losses
    expected = lightness(srgb_curve(pixels / 65535) @ LUMINANCE["p3"])
    assert np.abs(tone.lightness(pixels) - expected).max() < 0.02


def test_a_table_profile_has_the_lightness_of_its_table(table_profile, pixels):
    def lab_of(r, g, b):
        return 100 * (r + g + b) / 3, 60.0 * (r - g), 60.0 * (g - b)

    tone, losses = tone_of(table_profile(b"RGB ", lab_of), gray=False)
    assert losses
    red, green, blue = np.moveaxis(pixels / 65535, -1, 0)
    xyz = reference.lab2xyz(np.stack(lab_of(red, green, blue), -1), illuminant="D50")
    # Lindbloom: Bradford-adapted D50 to D65.
    luminance = xyz @ [-0.0282895, 1.0099416, 0.0210077]
    assert np.abs(tone.lightness(pixels) - lightness(luminance)).max() < 0.02
    grays = tone.lightness_table(16)
    assert np.abs(grays - np.linspace(0, 100, 65536)).max() < 0.02
    assert (np.diff(grays) >= 0).all()


def test_the_table_of_grays_is_the_lightness_of_gray_pixels(adobe):
    tone, _ = tone_of(adobe, gray=False)
    levels = np.arange(256, dtype=np.uint8)
    assert np.abs(tone.lightness_table(8) - tone.lightness(np.stack([levels] * 3, -1))).max() < 1e-4
    assert tone.lightness_table(8)[-1] == pytest.approx(100, abs=1e-3)


def test_previews_in_srgb_are_those_of_pillow(adobe, color, gray):
    tone, _ = tone_of(adobe, gray=False)
    assert tone.srgb(color).shape == color.shape
    profiles = [ImageCms.ImageCmsProfile(io.BytesIO(profile)) for profile in (adobe, srgb_profile())]
    expected = ImageCms.profileToProfile(Image.fromarray(color), *profiles, renderingIntent=1)
    assert np.abs(tone.srgb(color).astype(int) - np.asarray(expected)).max() <= 1
    gray_tone, _ = tone_of(bytes(imagecodecs.cms_profile("gray", gamma=1.0)), gray=True)
    seen = gray_tone.srgb(gray)
    assert (seen.dtype, seen.shape) == (gray.dtype, gray.shape)
    assert np.abs(reference.rgb2lab(np.dstack([seen] * 3))[..., 0] - gray_tone.lightness(gray)).max() < 0.4


@pytest.mark.parametrize("gray", [False, True])
def test_a_profile_that_is_srgb_in_effect_costs_nothing(gray, matrix_profile, build_profile, curve):
    # As those of version 2 that cameras, scanners and Photoshop embed: a curve of 1024 values, rounded colorants.
    values = srgb_curve(np.linspace(0, 1, 1024))
    own = build_profile(b"GRAY", {b"kTRC": curve(values)}) if gray else matrix_profile(values, SRGB_COLORANTS)
    for profile in (own, srgb_profile(), None):
        assert tone_of(profile, gray) == (SRGB, ())


def test_a_profile_that_is_only_close_to_srgb_is_not_taken_for_it(matrix_profile):
    profile = matrix_profile(np.linspace(0, 1, 1024) ** 2.2, SRGB_COLORANTS)
    assert tone_of(profile, gray=False)[0] is not SRGB


def test_profiles_for_other_pixels_are_not_used_and_told(adobe):
    gray_profile = bytes(imagecodecs.cms_profile("gray", gamma=1.8))
    for profile, gray in ((adobe, True), (gray_profile, False)):
        tone, losses = tone_of(profile, gray)
        assert tone is SRGB
        assert len(losses) == 1
        assert "other pixels" in losses[0]
        assert "built-in" in losses[0]


@pytest.mark.parametrize("profile", [b"x", bytes(200), b"nonsense" * 40, srgb_profile()[:300], bytes(17 * 2**20)])
def test_damaged_profiles_are_not_used_and_told(profile):
    for gray in (False, True):
        tone, losses = tone_of(profile, gray)
        assert tone is SRGB
        assert len(losses) == 1


def test_profiles_damaged_at_random_never_raise(adobe, table_profile):
    chance = np.random.default_rng(3)
    for profile in (adobe, table_profile(b"RGB ", lambda r, g, b: (30 * (r + g + b), 0, 0)), srgb_profile()):
        for _ in range(20):
            damaged = bytearray(profile)
            for _ in range(int(chance.choice((1, 5, 40)))):
                damaged[chance.integers(len(damaged))] = chance.integers(256)
            tone, losses = tone_of.__wrapped__(bytes(damaged), gray=False)
            assert tone is SRGB or losses
            assert np.isfinite(tone.lightness(np.full((1, 1, 3), 99, np.uint8))).all()


def test_links_between_devices_are_no_profiles_of_pixels(adobe):
    assert is_usable(adobe, b"RGB ")
    assert not is_usable(adobe[:12] + b"link" + adobe[16:], b"RGB ")
    assert not is_usable(adobe, b"CMYK")


def test_descriptions_are_read(matrix_profile):
    assert description(matrix_profile([0, 1], SRGB_COLORANTS, name="Epson  Perfection")) == "Epson Perfection"
    assert description(b"nonsense") == ""


def test_16_bits_are_converted_as_16_bits(adobe):
    ramp = np.repeat(np.arange(0, 65536, 7, dtype=np.uint16)[None, :, None], 3, axis=2)
    assert len(np.unique(convert(ramp, adobe))) > 5000
