"""Which of a run's checkpoints comes out.

A validated checkpoint is worth keeping if no other one is at least as good in both dE00 (CIEDE2000, how far the colors
lie from the truth) and dCF (how far the set's colorfulness lies from the truth's), and better in one. Of those on this
front whose dE00 is within 3 % of the lowest, the one comes out whose photographs are each, on the mean, nearest to
their own colorfulness: a small dCF alone can be too much color here and too little there. PSNR has no say: gray wins
it.

The mean of the weights on the front is a candidate too, since those of one run lie in one valley (Izmailov et al.,
Averaging Weights Leads to Wider Optima and Better Generalization, 2018); docs/training.md says what that was worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

ROOM = 1.03
"""How far above the lowest dE00 a more colorful checkpoint may lie. Gray's own dE00 lies a few percent above that of
the default model, so that more room would let in colors that are worse than none."""


@dataclass(frozen=True)
class Checkpoint:
    """The weights after some steps.

    Args:
        step: how many.
        scores: of the validation photographs, as core.training.evaluation names them; empty if there are none.
    """

    step: int
    scores: dict[str, float]

    @property
    def de00(self) -> float:
        """Lower is better."""
        return self.scores.get("de00", 0.0)

    @property
    def dcf(self) -> float:
        """Lower is better."""
        return self.scores.get("dcf", 0.0)

    @property
    def cf_error(self) -> float:
        """Mean |CF - CF of the truth| over the photographs; lower is better."""
        return self.scores.get("cf_error", 0.0)

    def beats(self, other: "Checkpoint") -> bool:
        """Whether it is as good in both, and better in one; of equal ones, whether it is later."""
        if (self.de00, self.dcf) == (other.de00, other.dcf):
            return self.step > other.step
        return self.de00 <= other.de00 and self.dcf <= other.dcf


def worth_keeping(checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    """Those that may still come out, in their order; at least one of them does. Others never come back."""
    front = [one for one in checkpoints if not any(other.beats(one) for other in checkpoints)]
    limit = ROOM * min((one.de00 for one in front), default=0.0)
    return [one for one in front if one.de00 <= limit]


def chosen(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """The one that comes out; ValueError if there are none."""
    return min(worth_keeping(checkpoints), key=lambda one: one.cf_error)
