"""What a model scores on a set of color photographs made gray."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.colorizer import network_size
from core.imaging import lab
from core.imaging.arrays import Floats, Samples
from core.imaging.compiled import compiled
from core.imaging.merging import gamut_share, linear_rgb
from core.imaging.upsampling import SmallChroma, shrink, upsample_ab
from core.runtimes.protocol import Runtime
from core.training import metrics
from core.training.metrics import BinnedAuc
from core.training.resampling import resampled

Pixels = NDArray[np.uint8]
Doubles = NDArray[np.float64]
Predict = Callable[[Floats], Floats]
"""From lightness, float32 (H, W) in 0..100, to chroma a, b, float32 (H, W, 2) in CIELAB units."""

EDGE_PX = 256
"""Of the center crops that numbers are told for, here as in the field."""


@dataclass(frozen=True, eq=False)
class Scores:
    """How a model did, photograph by photograph.

    Args:
        de00: float64 (photographs,), mean CIEDE2000 of each.
        psnr: likewise, in dB.
        ssim: likewise.
        cf: likewise, colorfulness of the result.
        cf_truth: likewise, of the truth.
        auc: likewise, 0..1.
        binned: AuC of all pixels of the set by their true color.
    """

    de00: Doubles
    psnr: Doubles
    ssim: Doubles
    cf: Doubles
    cf_truth: Doubles
    auc: Doubles
    binned: BinnedAuc

    def __len__(self) -> int:
        return len(self.de00)

    @property
    def cf_error(self) -> Doubles:
        """How far each result's colorfulness is from its truth's."""
        return np.abs(self.cf - self.cf_truth)

    def summary(self) -> dict[str, float]:
        """The numbers of the set by name; see `metrics`.

        cf and cf_truth are means over photographs, dcf is how far these two lie apart, cf_error the mean of how far
        each photograph's lies from its truth's, auc_balanced that of the whole set. What so few photographs do not
        define is left out.
        """
        numbers = {"photographs": len(self), "auc_balanced": self.binned.balanced}
        if len(self):
            numbers |= {name: float(getattr(self, name).mean()) for name in (*_NUMBERS, "cf_error", "auc")}
            numbers["dcf"] = abs(numbers["cf"] - numbers["cf_truth"])
        return {name: number for name, number in numbers.items() if np.isfinite(number)}


@dataclass(frozen=True, eq=False)
class _Score:
    """One photograph's numbers; see Scores."""

    de00: float
    psnr: float
    ssim: float
    cf: float
    cf_truth: float
    binned: BinnedAuc


def evaluate(predict: Predict, photographs: Iterable[Pixels], threads: int = 1) -> Scores:
    """Make photographs gray, have them colorized, and compare.

    Args:
        predict: what is measured; asked by several threads at once where threads > 1.
        photographs: uint8 (H, W, 3) in sRGB, any sizes of 11 pixels or more.
        threads: work on so many photographs at once; the numbers do not depend on it.
    """
    scores = list(_scored(predict, photographs, threads))
    columns = {name: np.array([getattr(score, name) for score in scores], np.float64) for name in _NUMBERS}
    auc = np.array([score.binned.mean for score in scores], np.float64)
    return Scores(**columns, auc=auc, binned=BinnedAuc.summed(score.binned for score in scores))


_NUMBERS = ("de00", "psnr", "ssim", "cf", "cf_truth")


def _scored(predict: Predict, photographs: Iterable[Pixels], threads: int) -> Iterator[_Score]:
    ahead: deque[Future[_Score]] = deque()
    with ThreadPoolExecutor(threads, "evaluate") as pool:
        for rgb in photographs:
            ahead.append(pool.submit(_score, predict, rgb))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _score(predict: Predict, truth: Pixels) -> _Score:
    truth_lab = lab.lab_from_rgb(truth)
    lightness = np.ascontiguousarray(truth_lab[..., 0])
    ab = predict(lightness)
    result = rgb_from_lab(lightness, ab)
    return _Score(
        de00=metrics.de00(truth_lab, lab.lab_from_rgb(result)),
        psnr=metrics.psnr(truth, result),
        ssim=metrics.ssim(truth, result),
        cf=metrics.colorfulness(result),
        cf_truth=metrics.colorfulness(truth),
        binned=metrics.auc(truth_lab[..., 1:], ab),
    )


def gray(lightness: Floats) -> Floats:
    """The Predict that gives no color: the row that every model has to beat."""
    return np.zeros((*lightness.shape, 2), np.float32)


def rgb_from_lab(lightness: Floats, ab: Floats) -> Pixels:
    """sRGB pixels, uint8 (H, W, 3); chroma that sRGB cannot hold is reduced at constant lightness, as in results."""
    light, a, b = (np.ascontiguousarray(plane).ravel() for plane in (lightness, ab[..., 0], ab[..., 1]))
    pixels = np.empty((light.size, 3), np.uint8)
    outside = np.flatnonzero(_quantize(light, a, b, lab.nearest_srgb_table(), pixels))
    if outside.size:
        share = gamut_share(light[outside], a[outside], b[outside])
        fitting = np.empty((outside.size, 3), np.uint8)
        _quantize(light[outside], a[outside] * share, b[outside] * share, lab.nearest_srgb_table(), fitting)
        pixels[outside] = fitting
    return pixels.reshape(*lightness.shape, 3)


@compiled
def _quantize(lightness: Floats, a: Floats, b: Floats, nearest: Samples, pixels: Pixels) -> NDArray[np.bool_]:
    """Write the nearest sRGB levels of some colors; tell which of them lie outside of what sRGB can hold."""
    steps, slack = len(nearest) - 1, np.float32(1e-6)
    outside = np.zeros(len(lightness), np.bool_)
    for i in range(len(lightness)):
        rgb = linear_rgb(lightness[i], a[i], b[i])
        if a[i] == 0 and b[i] == 0:
            rgb = (rgb[1], rgb[1], rgb[1])
        for channel in range(3):
            level = min(max(rgb[channel], np.float32(0)), np.float32(1))
            outside[i] |= abs(rgb[channel] - level) > slack
            pixels[i, channel] = nearest[np.int32(level * steps + np.float32(0.5))]
    return outside


def model_predictor(runtime: Runtime, network_edge_px: int) -> Predict:
    """A Predict that does what the product does: a small copy for the network, chroma brought up along the contours.

    Args:
        runtime: the loaded network.
        network_edge_px: short side of what the network sees, in pixels.
    """

    def predict(lightness: Floats) -> Floats:
        height, width = lightness.shape
        small = shrink(lightness, *network_size(height, width, network_edge_px))
        return upsample_ab(SmallChroma.of(small, runtime.predict(small)), lightness)

    return predict


def center_crop(rgb: Pixels, edge_px: int = EDGE_PX) -> Pixels:
    """The square in a photograph's middle, uint8 (edge_px, edge_px, 3), of its copy with that short side."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    box = ((height - side) // 2, (width - side) // 2, side, side)
    return resampled(rgb, box, edge_px, edge_px, mirrored=False)
