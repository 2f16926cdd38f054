"""Pictures that show people how far a run has come."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.imaging import lab
from core.imaging.preview import jpegs
from core.training.evaluation import Predict, gray, rgb_from_lab
from core.training.watching import SampleKind, Watcher

EDGE_PX = 512


class Samples:
    """Some photographs, colorized again and again as a run goes on.

    Args:
        photographs: uint8 (H, W, 3) each, in sRGB.
        watcher: who gets them.
    """

    def __init__(self, photographs: Sequence[NDArray[np.uint8]], watcher: Watcher) -> None:
        self._photographs = photographs
        self._watcher = watcher

    def begin(self, parent: Predict | None) -> None:
        """Show the truth, gray, and what the parent makes of it, if there is one."""
        for number, photograph in enumerate(self._photographs):
            self._watcher.sample(0, number, "truth", _jpeg(photograph))
        self._show(0, "gray", gray)
        if parent is not None:
            self._show(0, "before", parent)

    def show(self, step: int, predict: Predict) -> None:
        """Show what the model makes of them after so many steps."""
        self._show(step, "after", predict)

    def _show(self, step: int, kind: SampleKind, predict: Predict) -> None:
        for number, photograph in enumerate(self._photographs):
            lightness = lab.lightness_from_rgb(photograph)
            self._watcher.sample(step, number, kind, _jpeg(rgb_from_lab(lightness, predict(lightness))))


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    return jpegs(Image.fromarray(rgb), [EDGE_PX])[0]
