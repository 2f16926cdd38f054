"""What the levels of scans with an ICC profile mean: their lightness, by LittleCMS (imagecodecs).

Lightness is media-relative: a profile's white has 100. It is that of the color under D65, as everywhere here; profiles
tell colors under D50, so they are adapted as ICC.1 annex E does, with the Bradford matrix.

Sources: ICC.1:2022, Lindbloom (chromatic adaptation).
"""

import io
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms

from core.imaging import lab
from core.imaging.arrays import Floats, Samples
from core.imaging.compiled import compiled
from core.imaging.metadata import srgb_profile
from core.imaging.tone import SRGB, Tone

Doubles = NDArray[np.float64]

MAX_PROFILE_BYTES = 16 * 2**20
DEVICE_CLASSES = frozenset({b"scnr", b"mntr", b"prtr", b"spac"})
COLOR_SPACES = {b"GRAY": "gray", b"RGB ": "rgb", b"CMYK": "cmyk"}
RELATIVE_COLORIMETRIC = imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC
BLACK_POINT_COMPENSATION = imagecodecs.CMS.FLAGS.BLACKPOINTCOMPENSATION

LEVELS = 1 << 16
# Half a level of 8 bits: what profiles that all claim to be sRGB differ by is below.
SRGB_TOLERANCE = 128
MATRIX_TOLERANCE = 0.005

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])
_D65 = np.array([0.95047, 1.0, 1.08883])
_D65_FROM_D50 = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D65 / (_BRADFORD @ _D50)) @ _BRADFORD


class ProfileError(Exception):
    """A profile that LittleCMS cannot read, or that describes other pixels than those that it comes with."""


def convert(samples: Samples, profile: bytes, flags: int = 0) -> Samples:
    """Pixels in sRGB, relative colorimetric, of the same type: (H, W, 3).

    Args:
        samples: uint8 or uint16, (H, W), (H, W, 3) or (H, W, 4) CMYK.
        profile: theirs.
        flags: of LittleCMS.

    Raises:
        ProfileError: where LittleCMS cannot.
    """
    pixels: Samples = _transform(samples, profile, srgb_profile(), "rgb", samples.dtype, flags)
    return pixels


def _transform(
    samples: Samples, profile: bytes, target: bytes, space: str, dtype: np.dtype[Any] | type, flags: int = 0
) -> NDArray[Any]:
    try:
        result: NDArray[Any] = imagecodecs.cms_transform(
            np.ascontiguousarray(samples),
            profile,
            target,
            colorspace=COLOR_SPACES[profile[16:20]],
            outcolorspace=space,
            outdtype=dtype,
            intent=RELATIVE_COLORIMETRIC,
            flags=flags,
        )
    except (imagecodecs.CmsError, ValueError, KeyError) as error:
        raise ProfileError(str(error)) from error
    return result


@cache
def _xyz_profile() -> bytes:
    return bytes(imagecodecs.cms_profile("xyz"))


def _luminance(samples: Samples, profile: bytes) -> Doubles:
    """Relative luminance under D65, not yet relative to the profile's white, (...) of gray (...) or RGB (..., 3)."""
    pixels = samples.reshape(1, -1) if profile[16:20] == b"GRAY" else samples.reshape(1, -1, 3)
    xyz = _transform(pixels, profile, _xyz_profile(), "xyz", np.float64)
    luminance: Doubles = (xyz @ _D65_FROM_D50[1]).reshape(samples.shape[: samples.ndim - (pixels.ndim - 2)])
    return luminance


def _lightness(luminance: Doubles) -> Floats:
    """CIE L of relative luminance."""
    f = np.where(luminance > lab.EPSILON, np.cbrt(luminance), lab.KAPPA * luminance + 16 / 116)
    lightness: Floats = np.clip(116 * f - 16, 0, 100).astype(np.float32)
    return lightness


def _for_depth(table: Floats, bit_depth: int) -> Floats:
    """A table of 16 bits, (65536,) or (65536, 3), or its values at the levels of 8 bits."""
    return table if bit_depth == 16 else np.ascontiguousarray(table[::257])


@dataclass(frozen=True, eq=False)
class GrayTone:
    """Gray levels with a profile for gray.

    Args:
        table: lightness of each level of 16 bits, float32 (65536,), not falling.
    """

    table: Floats

    @classmethod
    def of(cls, profile: bytes) -> "GrayTone":
        """Raises ProfileError."""
        luminance = _luminance(np.arange(LEVELS, dtype=np.uint16), profile)
        if luminance[-1] <= luminance[0]:
            raise ProfileError("its white is not lighter than its black")
        return cls(np.maximum.accumulate(_lightness(luminance / luminance[-1])))

    def lightness(self, samples: Samples) -> Floats:
        """See Tone."""
        return lab.look_up(self.lightness_table(8 * samples.dtype.itemsize), samples)

    def lightness_table(self, bit_depth: int) -> Floats:
        """See Tone."""
        return _for_depth(self.table, bit_depth)

    def srgb(self, samples: Samples) -> Samples:
        """See Tone."""
        values = lab.srgb_from_linear(lab.luminance_from_lightness(self.lightness_table(8 * samples.dtype.itemsize)))
        levels: Samples = np.rint(values * np.iinfo(samples.dtype).max).astype(samples.dtype)
        return levels[samples]


@dataclass(frozen=True, eq=False)
class MatrixTone:
    """RGB with a profile whose channels add up, as those of working spaces and monitors do.

    Args:
        profile: the ICC profile.
        luminance: what each level of 16 bits of each channel adds to luminance, float32 (65536, 3).
    """

    profile: bytes
    luminance: Floats

    def lightness(self, samples: Samples) -> Floats:
        """See Tone."""
        lightness = np.empty(samples.shape[:-1], np.float32)
        tables = _for_depth(self.luminance, 8 * samples.dtype.itemsize)
        pixels = np.ascontiguousarray(samples).reshape(-1, 3)
        _lightness_of_pixels(pixels, tables, lab.lightness_of_luminance_table(), lightness.reshape(-1))
        return lightness

    def lightness_table(self, bit_depth: int) -> Floats:
        """See Tone."""
        return _table_of_grays(self, bit_depth)

    def srgb(self, samples: Samples) -> Samples:
        """See Tone."""
        return convert(samples, self.profile)


@dataclass(frozen=True, eq=False)
class LutTone:
    """RGB with a profile that is a table of colors, as those of scanners may be.

    Args:
        profile: the ICC profile.
        white: luminance of its white.
    """

    profile: bytes
    white: float

    def lightness(self, samples: Samples) -> Floats:
        """See Tone."""
        return _lightness(_luminance(samples, self.profile) / self.white)

    def lightness_table(self, bit_depth: int) -> Floats:
        """See Tone."""
        return _table_of_grays(self, bit_depth)

    def srgb(self, samples: Samples) -> Samples:
        """See Tone."""
        return convert(samples, self.profile)


def _table_of_grays(tone: Tone, bit_depth: int) -> Floats:
    levels = np.arange(1 << bit_depth).astype(np.uint8 if bit_depth == 8 else np.uint16)
    table: Floats = np.maximum.accumulate(tone.lightness(np.stack([levels] * 3, -1)))
    return table


@compiled
def _lightness_of_pixels(pixels: Samples, tables: Floats, lightness: Floats, out: Floats) -> None:
    steps = np.float32(len(lightness) - 2)
    for i in range(len(pixels)):
        luminance = tables[pixels[i, 0], 0] + tables[pixels[i, 1], 1] + tables[pixels[i, 2], 2]
        place = min(max(luminance, np.float32(0)), np.float32(1)) * steps
        index = np.int32(place)
        out[i] = lightness[index] + (place - np.float32(index)) * (lightness[index + 1] - lightness[index])


def _rgb_tone(profile: bytes) -> Tone:
    levels = np.arange(LEVELS, dtype=np.uint16)
    black, white = (float(_luminance(np.full((1, 3), level, np.uint16), profile)[0]) for level in (0, LEVELS - 1))
    if white <= black:
        raise ProfileError("its white is not lighter than its black")
    tables = np.empty((LEVELS, 3))
    for channel in range(3):
        single = np.zeros((LEVELS, 3), np.uint16)
        single[:, channel] = levels
        tables[:, channel] = (_luminance(single, profile) - black * 2 / 3) / white
    tone = MatrixTone(profile, tables.astype(np.float32))
    lut = LutTone(profile, white)
    some = _some_colors()
    adds_up = np.abs(tone.lightness(some) - lut.lightness(some)).max() < MATRIX_TOLERANCE
    return tone if adds_up else lut


def _some_colors() -> Samples:
    """A ramp of grays, and colors of all hues, strengths and depths: uint16 (N, 3)."""
    grays: Samples = np.repeat(np.arange(0, LEVELS, 257, dtype=np.uint16)[:, None], 3, axis=1)
    steps = np.linspace(0, LEVELS - 1, 6).astype(np.uint16)
    colors: Samples = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    return np.concatenate((grays, colors))


def _is_srgb(profile: bytes, gray: bool) -> bool:
    colors = _some_colors()
    if gray:
        levels = np.ascontiguousarray(colors[:, 0])
        seen = GrayTone.of(profile).srgb(levels)
        return bool(np.abs(seen.astype(int) - levels).max() <= SRGB_TOLERANCE)
    seen = convert(colors[None], profile)[0]
    return bool(np.abs(seen.astype(int) - colors).max() <= SRGB_TOLERANCE)


@lru_cache(maxsize=16)
def tone_of(profile: bytes | None, gray: bool) -> tuple[Tone, tuple[str, ...]]:
    """How samples with a profile are to be read, and in words what the result will lack of it.

    Args:
        profile: the file's; None for none.
        gray: whether the samples are gray, else RGB.

    Returns:
        SRGB where there is no profile, where it is sRGB in effect, and where it cannot be used, which the words tell.
    """
    if profile is None:
        return SRGB, ()
    try:
        _check(profile, b"GRAY" if gray else b"RGB ")
        if _is_srgb(profile, gray):
            return SRGB, ()
        tone = GrayTone.of(profile) if gray else _rgb_tone(profile)
    except ProfileError as error:
        return SRGB, _unused(profile, gray, str(error))
    return tone, (f"{_named(profile)} (colors are in sRGB now)",)


def _check(profile: bytes, space: bytes) -> None:
    if len(profile) < 132 or len(profile) > MAX_PROFILE_BYTES or profile[12:16] not in DEVICE_CLASSES:
        raise ProfileError("it is damaged")
    if profile[16:20] != space:
        raise ProfileError("it describes other pixels")


def is_usable(profile: bytes, space: bytes) -> bool:
    """Whether a profile looks like one for a color space, such as b"CMYK"."""
    try:
        _check(profile, space)
    except ProfileError:
        return False
    return True


def _unused(profile: bytes, gray: bool, reason: str) -> tuple[str, ...]:
    """Words for a profile that is not used; none where that makes no difference, as for gray pixels tagged as sRGB."""
    if gray and is_usable(profile, b"RGB "):
        try:
            if _is_srgb(profile, gray=False):
                return ()
        except ProfileError:
            reason = "it is damaged"
    return (f"{_named(profile)}, since {reason} (values were taken as sRGB)",)


def _named(profile: bytes) -> str:
    name = description(profile)
    return f"the ICC profile '{name}'" if name else "the ICC profile"


def description(profile: bytes) -> str:
    """The name that a profile gives itself; "" where it cannot be read."""
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError):
        return ""
    return " ".join(name.split())[:80]
