"""The Colorizer: gray scans in, color pages out. Knows nothing of files, jobs or queues."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.errors import CheckpointError
from core.imaging.arrays import Floats, Samples
from core.imaging.merging import Bounds, LightnessError, Merger, luminance_bounds, nearest_levels, srgb_bounds
from core.imaging.orientation import stored, upright
from core.imaging.scan import Page, Scan
from core.imaging.tone import SRGB
from core.imaging.upsampling import SmallChroma, shrink_lightness
from core.runtimes.protocol import Runtime

STRIDE = 32
MAX_ASPECT = 4
ABSURD_AB = 1000
MAX_NETWORK_PIXELS = 512 * 1024


def network_size(height: int, width: int, edge_px: int) -> tuple[int, int]:
    """Height and width at which the network sees a picture.

    The short side is edge_px, the long side keeps the aspect but is at most MAX_ASPECT times that, and not so long that
    the network would need more than about a gigabyte. Both are rounded to its stride, of which they are at least one.
    """
    scale = edge_px / min(height, width)
    longest = min(edge_px * MAX_ASPECT, MAX_NETWORK_PIXELS / edge_px)
    rows, columns = (max(STRIDE, STRIDE * round(min(side * scale, longest) / STRIDE)) for side in (height, width))
    return rows, columns


class ColorizedPage:
    """A page's colors, computed band by band while they are read, so that they need not lie in memory as a whole.

    Args:
        page: the original.
        chroma: of its small copy, as the page is stored.
        mean_chroma: mean of the chroma that the network predicted, before any saturation; 0 for gray.
    """

    def __init__(self, page: Page, chroma: SmallChroma, mean_chroma: float) -> None:
        self.height, self.width, self.bit_depth = page.height, page.width, page.bit_depth
        self.mean_chroma = mean_chroma
        self.lightness_error = LightnessError()
        self._page = page
        self._chroma = chroma

    def bands(self) -> Iterator[Samples]:
        """See ColorPage. Once it is read to its end, `lightness_error` tells of the whole page."""
        merger = Merger(self.height, self.width, self._chroma, self.bit_depth, self._bounds)
        self.lightness_error = merger.error
        for rows in self._page.bands():
            lightness = self._page.lightness_rows(rows)
            yield merger.merge(rows, lightness, self._levels(rows, lightness))

    @cached_property
    def _bounds(self) -> Bounds:
        gray_with_profile = self._page.samples.ndim == 2 and self._page.tone is not SRGB and self.bit_depth == 8
        return luminance_bounds(self._page.tone.lightness_table(8)) if gray_with_profile else srgb_bounds()

    def _levels(self, rows: slice, lightness: Floats) -> NDArray[np.uint8] | None:
        """The gray levels that 8-bit results must lead back to: the original's own, or the nearest to its lightness."""
        if self.bit_depth == 16:
            return None
        if self._page.samples.ndim == 2:
            return self._page.samples[rows]  # type: ignore[return-value]  # 8 bits are uint8
        return nearest_levels(lightness)


class KeptPage:
    """A page of a scan that is left as it is, in sRGB."""

    def __init__(self, page: Page) -> None:
        self.height, self.width, self.bit_depth = page.height, page.width, page.bit_depth
        self._page = page

    def bands(self) -> Iterator[Samples]:
        """See ColorPage."""
        for rows in self._page.bands():
            samples = self._page.tone.srgb(self._page.samples[rows])
            yield samples if samples.ndim == 3 else np.repeat(samples[..., None], 3, axis=2)


@dataclass(frozen=True, eq=False)
class Colorized:
    """A scan's result.

    Args:
        pages: one for each page of the scan, as stored as the original.
    """

    pages: tuple[ColorizedPage | KeptPage, ...]

    @property
    def mean_chroma(self) -> float:
        """Mean of the predicted CIELAB chroma over all colorized pages, 0 for gray."""
        sizes = [page.height * page.width for page in self._colorized]
        return float(np.average([page.mean_chroma for page in self._colorized], weights=sizes))

    @property
    def lightness_error(self) -> LightnessError:
        """How far the pages' lightness lies from the original's, over all that were colorized and read to their end."""
        errors = [page.lightness_error for page in self._colorized]
        largest = max(error.largest for error in errors)
        pixels, others = sum(error.pixels for error in errors), sum(error.other_levels for error in errors)
        return LightnessError(pixels, sum(error.total for error in errors), largest, others)

    @property
    def losses(self) -> tuple[str, ...]:
        """What 8-bit pages lack of the original's levels before any lossy coding, in words, once they are read."""
        others = self.lightness_error.other_levels
        pixels = "1 pixel" if others == 1 else f"{others:,} pixels"
        return (f"the gray level of {pixels}, which 8 bits of sRGB cannot tell from another",) if others else ()

    @property
    def _colorized(self) -> list[ColorizedPage]:
        return [page for page in self.pages if isinstance(page, ColorizedPage)]


class Colorizer:
    """A loaded model and what it takes to apply it. May be used by several threads at once.

    Args:
        runtime: computes the network.
        version: of its weights.
        network_edge_px: short side of what the network sees, in pixels, where nothing else is asked for.
    """

    def __init__(self, runtime: Runtime, version: str, network_edge_px: int) -> None:
        self.runtime = runtime
        self.version = version
        self.network_edge_px = network_edge_px

    def colorize(
        self,
        scan: Scan,
        saturation: float = 1.0,
        network_edge_px: int | None = None,
        wanted: Sequence[bool] | None = None,
    ) -> Colorized:
        """Color for the pages of a scan, at full size, the original's lightness kept.

        Each picture goes through the network alone, so that its result does not depend on its neighbors.

        Args:
            scan: what codec.decode gave.
            saturation: factor on the predicted chroma, 0 and up.
            network_edge_px: short side of what the network sees, in pixels; None for the usual one.
            wanted: for each page, whether it is to be colorized, at least one; None for all.

        Raises:
            CheckpointError: bad_prediction, the model gave no numbers.
        """
        edge_px = network_edge_px or self.network_edge_px
        chosen = zip(scan.pages, wanted or [True] * len(scan.pages), strict=True)
        return Colorized(
            tuple(self._colorize_page(page, saturation, edge_px) if wish else KeptPage(page) for page, wish in chosen)
        )

    def _colorize_page(self, page: Page, saturation: float, edge_px: int) -> ColorizedPage:
        lightness, ab = self.predict(page, edge_px)
        mean_chroma = float(np.hypot(ab[..., 0], ab[..., 1]).mean())
        return ColorizedPage(page, SmallChroma.of(lightness, ab * np.float32(saturation)), mean_chroma)

    def predict(self, page: Page, edge_px: int) -> tuple[Floats, Floats]:
        """Lightness, float32 (h, w), and predicted chroma, float32 (h, w, 2), of a small copy, both as stored.

        The network sees the copy upright.

        Raises:
            CheckpointError: bad_prediction, the model gave no numbers.
        """
        orientation = page.metadata.orientation
        small = shrink_lightness(page, *network_size(page.height, page.width, edge_px))
        ab = self.runtime.predict(np.ascontiguousarray(upright(small, orientation)))
        # Whatever is no number is not below it either.
        if not (np.abs(ab) < ABSURD_AB).all():
            raise CheckpointError("bad_prediction", f"Model {self.version} gave no numbers for this picture.")
        return small, stored(ab, orientation)
