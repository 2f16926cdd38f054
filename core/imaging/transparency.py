"""Colors that were multiplied by alpha, brought back to what they were, for formats that know no such colors."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.imaging.arrays import Samples
from core.imaging.output import PageOver

MULTIPLIED = 1
"""Metadata.alpha_kind of colors that are multiplied by alpha, as TIFF numbers it."""


def divided(colors: Samples, alpha: Samples) -> Samples:
    """Colors divided by alpha, rounded to the nearest; 0 where alpha is 0, and the top level where color exceeds alpha.

    Args:
        colors: uint8 or uint16, (rows, W, 3), multiplied by alpha.
        alpha: of the same type, (rows, W).
    """
    top = int(np.iinfo(colors.dtype).max)
    # Within uint32 whatever the levels: 65535 * 65535 + 32767. Half of alpha makes the division round.
    divisor = np.maximum(alpha, 1).astype(np.uint32)[..., None]
    quotients = (colors.astype(np.uint32) * np.uint32(top) + divisor // 2) // divisor
    np.minimum(quotients, top, out=quotients)
    quotients[alpha == 0] = 0
    return quotients.astype(colors.dtype)


@dataclass(frozen=True, eq=False)
class DividedPage(PageOver):
    """A page whose colors are multiplied by alpha, with them divided by it.

    Args:
        page: of multiplied colors.
        alpha: of the same type, (H, W).
    """

    alpha: Samples

    def bands(self) -> Iterator[Samples]:
        """See ColorPage."""
        top = 0
        for band in self.page.bands():
            yield divided(band, self.alpha[top : top + len(band)])
            top += len(band)
