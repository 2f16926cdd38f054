"""Whether a candidate may take the place of the model in use: judged photograph by photograph, beyond noise.

Two numbers decide. CIEDE2000 says how far colors are off, and is best for what dares little; the distance of each
photograph's colorfulness from its truth's is best for what is as colorful as the truth, whatever the colors. A model
that gains in one and does not lose in the other is better. PSNR and SSIM are told, but decide nothing; they reward
gray.

What the tolerances and the rate below rest on: the shipped model's own results, their saturation changed, on 119
photographs of the frozen set. A tenth less takes 0.14 off CIEDE2000 and adds 1.6 to the distance of colorfulness, a
tenth more adds 0.17 and takes 1.4 off. So a tenth of saturation, which is hardly seen, is about as much as a tolerance
may let pass; and changes that amount to nothing but another saturation must not count as progress, or models would
turn gray step by step.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.training.evaluation import Scores

Doubles = NDArray[np.float64]
Outcome = Literal["better", "not_better", "worse", "too_few"]

JUDGED = ("de00", "cf_error")
TOLD = ("de00", "cf_error", "cf", "psnr", "ssim", "auc")
WORDS = {"de00": "CIEDE2000", "cf_error": "|CF - CF of the truth|"}

LEAST_PHOTOGRAPHS = 20
"""In smaller sets nothing is beyond noise, and an interval cannot be trusted."""

CONFIDENCE = 0.95
"""For all comparisons together: each interval is as much wider as there are more of them (Bonferroni)."""

SATURATION_RATE = 10.0
"""So many units of colorfulness's distance go with one of CIEDE2000 when nothing but the saturation changes."""

LEAST_PRICE = 1.5
"""What is lost in one number beyond noise has to be made up for so many times, at that rate, in the other."""

RESAMPLES = 10_000
SAMPLES_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Tolerances:
    """How much worse, at the far end of the interval, a candidate may be in one number.

    Tighter ones would ask for sets that few collections have: between equally good models single photographs differ by
    about 1.5 and 6 (standard deviation), which gives 600 of them an interval of 0.15 and 0.6 to both sides.

    Args:
        de00: in CIEDE2000; 1 is what an eye just tells apart, side by side.
        cf_error: in units of colorfulness, of which the frozen set has 39 on average.
    """

    de00: float = 0.3
    cf_error: float = 1.0


@dataclass(frozen=True)
class Comparison:
    """One number on one set.

    Args:
        candidate: mean over photographs.
        active: likewise, of the model in use.
        difference: candidate less active; in what decides, less than 0 is better.
        low: lower end of the difference's confidence interval; None where it decides nothing.
        high: upper end.
        better: the whole interval lies below 0.
        worse: the interval reaches past what is tolerated.
        surely_worse: the whole interval lies above 0.
    """

    candidate: float
    active: float
    difference: float
    low: float | None = None
    high: float | None = None
    better: bool = False
    worse: bool = False
    surely_worse: bool = False


@dataclass(frozen=True)
class SetComparison:
    """One set of photographs.

    Args:
        photographs: in it.
        judged: whether there are enough of them.
        metrics: by name, as in TOLD.
    """

    photographs: int
    judged: bool
    metrics: dict[str, Comparison]


@dataclass(frozen=True)
class Decision:
    """What came out.

    Args:
        outcome: "better" alone is reason to promote.
        reason: in one or two sentences, with the numbers that decided.
        sets: by name.
    """

    outcome: Outcome
    reason: str
    sets: dict[str, SetComparison]

    def as_json(self) -> dict[str, Any]:
        """Plain values, for records and pages."""
        return asdict(self)


def decide(sets: Mapping[str, tuple[Scores, Scores]], tolerances: Tolerances = Tolerances(), seed: int = 0) -> Decision:
    """Compare a candidate with the model in use.

    Args:
        sets: by name, the candidate's and the active model's scores on the same photographs in the same order. Sets of
            fewer than LEAST_PHOTOGRAPHS are told and not judged.
        tolerances: see there.
        seed: of the bootstrap; the same seed gives the same decision.
    """
    large = [name for name, (candidate, _) in sets.items() if len(candidate) >= LEAST_PHOTOGRAPHS]
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(large) * len(JUDGED))
    rng = np.random.default_rng(seed)
    compared = {}
    for name, (candidate, active) in sets.items():
        if not np.array_equal(candidate.cf_truth, active.cf_truth):
            raise ValueError(f"the two scores of {name} are not of the same photographs")
        limits = asdict(tolerances) if name in large else {}
        compared[name] = _compare_set(candidate, active, limits, confidence, rng)
    return _decision(compared)


def _compare_set(
    candidate: Scores, active: Scores, limits: Mapping[str, float], confidence: float, rng: np.random.Generator
) -> SetComparison:
    metrics = {}
    for name in TOLD:
        ours, theirs = getattr(candidate, name), getattr(active, name)
        difference = ours - theirs
        told = Comparison(_mean(ours), _mean(theirs), _mean(difference))
        metrics[name] = _judged(told, difference, limits[name], confidence, rng) if name in limits else told
    return SetComparison(len(candidate), bool(limits), metrics)


def _mean(values: Doubles) -> float:
    return float(values.mean()) if values.size else 0.0


def _judged(
    told: Comparison, difference: Doubles, tolerance: float, confidence: float, rng: np.random.Generator
) -> Comparison:
    low, high = interval(difference, confidence, rng)
    means = (told.candidate, told.active, told.difference)
    return Comparison(*means, low, high, better=high < 0, worse=high > tolerance, surely_worse=low > 0)


def interval(differences: Doubles, confidence: float, rng: np.random.Generator) -> tuple[float, float]:
    """The confidence interval of a mean by the studentized bootstrap, which holds its level for small, skewed sets too.

    Args:
        differences: float64 (n,), n of 2 or more, one per photograph.
        confidence: 0..1, of both ends together.
        rng: of the resamples.

    Source: Efron and Tibshirani 1993, chapter 12.
    """
    count, mean, error = len(differences), differences.mean(), _standard_error(differences[None])[0]
    if error == 0:
        return float(mean), float(mean)
    scores = []
    for start in range(0, RESAMPLES, step := max(1, SAMPLES_AT_ONCE // count)):
        drawn = differences[rng.integers(0, count, (min(step, RESAMPLES - start), count))]
        # A resample of one photograph alone has no spread; it says nothing, and is rare.
        scores.append((drawn.mean(axis=1) - mean) / np.maximum(_standard_error(drawn), error * 1e-3))
    tail = (1 - confidence) / 2
    below, above = np.quantile(np.concatenate(scores), (tail, 1 - tail))
    return float(mean - above * error), float(mean - below * error)


def _standard_error(values: Doubles) -> Doubles:
    errors: Doubles = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
    return errors


def _decision(sets: dict[str, SetComparison]) -> Decision:
    judged = [(name, metric, one.metrics[metric]) for name, one in sets.items() if one.judged for metric in JUDGED]
    if not judged:
        most = max((one.photographs for one in sets.values()), default=0)
        reason = f"A comparison needs {LEAST_PHOTOGRAPHS} photographs or more in one set; there are {most}."
        return Decision("too_few", reason, sets)
    worse = _told([one for one in judged if one[2].surely_worse and one[2].worse])
    perhaps_worse = _told([one for one in judged if one[2].worse])
    better = _told([one for one in judged if one[2].better])
    if worse:
        return Decision("worse", f"It is worse than the model in use: {worse}.", sets)
    if perhaps_worse:
        gain = f" It is better in: {better}." if better else ""
        return Decision("not_better", f"It may be worse by more than is tolerated: {perhaps_worse}.{gain}", sets)
    too_dear = [name for name, one in sets.items() if one.judged and _is_too_dear(one)]
    if too_dear:
        reason = f"On {', '.join(too_dear)} it gains hardly more than another saturation of the colors would, and loses"
        return Decision("not_better", f"{reason}: {_told([one for one in judged if one[2].surely_worse])}.", sets)
    if better:
        return Decision(
            "better",
            f"It is better than the model in use, and nowhere worse by more than is tolerated: {better}.",
            sets,
        )
    return Decision("not_better", "It differs from the model in use by no more than noise.", sets)


def _is_too_dear(one: SetComparison) -> bool:
    """Whether one number got worse beyond noise, and the other not enough better for it."""
    de00, cf_error = one.metrics["de00"], one.metrics["cf_error"]
    exchanged = SATURATION_RATE * de00.difference
    if cf_error.surely_worse:
        return -exchanged < LEAST_PRICE * cf_error.difference
    return de00.surely_worse and -cf_error.difference < LEAST_PRICE * exchanged


def _told(comparisons: list[tuple[str, str, Comparison]]) -> str:
    return "; ".join(
        f"{WORDS[metric]} on {name} {one.candidate:.2f} instead of {one.active:.2f} "
        f"(difference {one.difference:+.2f}, between {one.low:+.2f} and {one.high:+.2f})"
        for name, metric, one in comparisons
    )
