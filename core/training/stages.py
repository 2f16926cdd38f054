"""Which stage a step belongs to, and the learning rate there: pure functions of the step, so that resuming is exact."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.training.config import StageConfig

WARMUP = 0.25
"""The share of a stage during which one_cycle rises."""
START, END = 1 / 25, 1e-3
"""Where one_cycle begins and ends, as shares of the highest learning rate."""
POINTS = 400
"""How many points the curves of a run have, about."""


@dataclass(frozen=True)
class Place:
    """Where in the stages a step is.

    Args:
        index: of the stage.
        stage: itself.
        step: within it, the first one 0.
    """

    index: int
    stage: StageConfig
    step: int

    @property
    def learning_rate(self) -> float:
        """For this step."""
        schedule = one_cycle if self.stage.schedule == "one_cycle" else cosine
        return self.stage.learning_rate * schedule(self.step, self.stage.steps)


def place_of(stages: Sequence[StageConfig], step: int) -> Place:
    """The place of a step of the whole run, the first one 0; IndexError past the end."""
    for index, stage in enumerate(stages):
        if step < stage.steps:
            return Place(index, stage, step)
        step -= stage.steps
    raise IndexError("The run has no such step.")


def is_warmup(stages: Sequence[StageConfig], place: Place, warmup_steps: int) -> bool:
    """Whether only the discriminator learns: at the beginning of the first adversarial stage, half of it at most."""
    first = next((index for index, stage in enumerate(stages) if stage.kind == "adversarial"), None)
    return place.index == first and place.step < min(warmup_steps, place.stage.steps // 2)


def cosine(step: int, steps: int) -> float:
    """A factor that falls from 1 towards 0 along half a cosine."""
    return (1 + math.cos(math.pi * step / steps)) / 2


def one_cycle(step: int, steps: int) -> float:
    """A factor that rises from 1/25 to 1 in the first quarter, and falls to 1/1000, both along half a cosine.

    Source: Smith, Super-Convergence, 2018, in the form that fastai gave it.
    """
    rise = max(1, round(WARMUP * steps))
    if step < rise:
        return START + (1 - START) * (1 - cosine(step, rise))
    return END + (1 - END) * cosine(step - rise, max(1, steps - rise))


def is_due(step: int, every: int, total: int) -> bool:
    """Whether what happens every so many steps happens after this many; it always does at the end."""
    return step % every == 0 or step == total


def report_every(total: int) -> int:
    """After how many steps each point of the curves is."""
    return max(1, total // POINTS)
