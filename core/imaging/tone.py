"""How a page's levels are to be read: as sRGB, or as an ICC profile says."""

from typing import Protocol

from core.imaging import lab
from core.imaging.arrays import Floats, Samples


class Tone(Protocol):
    """What levels mean."""

    def lightness(self, samples: Samples) -> Floats:
        """CIE L, float32 (...) in 0..100, of gray levels (H, W) or RGB pixels (H, W, 3), uint8 or uint16."""

    def lightness_table(self, bit_depth: int) -> Floats:
        """CIE L, float32 (256,) or (65536,), of every gray level; does not fall from one level to the next."""

    def srgb(self, samples: Samples) -> Samples:
        """The same picture in sRGB: same shape and type. For previews and for telling color from toning."""


class SrgbTone:
    """Levels are sRGB values."""

    def lightness(self, samples: Samples) -> Floats:
        """See Tone."""
        return lab.lightness_from_gray(samples) if samples.ndim == 2 else lab.lightness_from_rgb(samples)

    def lightness_table(self, bit_depth: int) -> Floats:
        """See Tone."""
        return lab.lightness_table(1 << bit_depth)

    def srgb(self, samples: Samples) -> Samples:
        """See Tone."""
        return samples


SRGB = SrgbTone()
