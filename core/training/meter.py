"""What a run measures of itself between two points of its curves."""

import math
import time
from collections.abc import Mapping

from torch import Tensor

from core.training.watching import Measured, TrainingError


class Meter:
    """Means of the losses, and speed over the time that went into steps. The clock stands until `start`."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._images = 0
        self._running_s = 0.0
        self._waited_s = 0.0
        self._started_at: float | None = None

    def start(self) -> None:
        """Let the clock run."""
        self._started_at = time.perf_counter()

    def stop(self) -> None:
        """Let the clock stand, while something else than a step is done."""
        if self._started_at is not None:
            self._running_s += time.perf_counter() - self._started_at
        self._started_at = None

    def add(self, losses: Mapping[str, Tensor], images: int, waited_s: float) -> None:
        """Count a step. The losses stay where they are, so that a GPU need not be waited for."""
        for name, value in losses.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1
        self._images += images
        self._waited_s += waited_s

    def take(self, step: int) -> Measured:
        """What was measured since the last time; then everything begins at zero.

        Raises:
            TrainingError: training_diverged, a loss is no number.
        """
        means = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        if not all(map(math.isfinite, means.values())):
            message = f"A loss is no number any more at step {step}; a lower learning rate may help."
            raise TrainingError("training_diverged", message)
        speed = {}
        if self._running_s:
            speed["images_per_s"] = self._images / self._running_s
            speed["wait_share"] = min(1.0, self._waited_s / self._running_s)
        self._sums, self._counts = {}, {}
        self._images, self._running_s, self._waited_s = 0, 0.0, 0.0
        return {**means, **speed}
