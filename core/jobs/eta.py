"""How long a job still takes, as a range, from what its finished photos took. Pure: it is given numbers only.

What a photograph takes is a fixed part (the network, overhead) and a part that grows with its megapixels (decoding,
merging, encoding). Both are fitted to the times that workers noted for a sample of the finished photos. That gives what
those that are left cost, compared with those that are done, whatever order of sizes they come in; how fast work of that
kind gets done is measured over the whole job and over its recent past, by the clock. The range spans both speeds, what
the fit leaves open, and work that is done but not committed yet.
"""

import math
from dataclasses import astuple, dataclass

FEWEST_FINISHED = 5
"""Before so many photos, nothing can be told."""
FEWEST_RECENT = 20
"""With fewer photos in it, the recent past tells less than the whole."""
MARGIN = 0.05
"""Of the time left; what no measurement of the past knows, to each side."""
PRIOR_SHARE, PRIOR_ERROR = 0.5, 0.25
"""Which share of a photo's time its megapixels make up, and how far off that may be, where no data tell it."""
DONE_OF_HAND = (0.25, 0.5)
"""Which share of the claimed photos' work is done, but not committed: most likely, and at most."""
CLUSTERING = 2.0
"""Photos of a chunk are alike: a sample of chunks tells as much as one of so many times fewer photos."""


@dataclass(frozen=True)
class Sample:
    """Sums over some of many photos, picked at random; over all of them where they are few.

    Attributes:
        photos: how many.
        megapixels, megapixels_squared: their sums.
        seconds, seconds_squared: sums of what workers spent on them; a photo that was left as it is counts 0.
        products: the sum of megapixels times seconds.
    """

    photos: int = 0
    megapixels: float = 0.0
    megapixels_squared: float = 0.0
    seconds: float = 0.0
    seconds_squared: float = 0.0
    products: float = 0.0

    def __add__(self, other: "Sample") -> "Sample":
        return Sample(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    @property
    def mean_megapixels(self) -> float:
        """Megapixels of a photo."""
        return self.megapixels / self.photos if self.photos else 0.0

    @property
    def mean_seconds(self) -> float:
        """Seconds for a photo."""
        return self.seconds / self.photos if self.photos else 0.0

    @property
    def variance_of_megapixels(self) -> float:
        """Of megapixels, around their mean."""
        return max(self.megapixels_squared / self.photos - self.mean_megapixels**2, 0.0) if self.photos else 0.0


@dataclass(frozen=True)
class Speed:
    """So many photos were finished in so many seconds in which the job was worked on; pauses do not count."""

    photos: int
    seconds: float
    mean_megapixels: float


@dataclass(frozen=True)
class Measured:
    """What is known of a job under way.

    Attributes:
        whole: since its first photo was begun.
        recent: its recent past; None where that is not worth telling apart.
        finished: a sample of the finished photos.
        left: how many photos are not over yet.
        left_sample: a sample of these; its seconds are not looked at.
        in_hand: how many of these are claimed.
        hands: how many workers have claimed them.
    """

    whole: Speed
    recent: Speed | None
    finished: Sample
    left: int
    left_sample: Sample
    in_hand: int
    hands: int


@dataclass(frozen=True)
class TimeLeft:
    """Seconds until the job is over: most likely `best_s`, and hardly outside of `low_s` to `high_s`."""

    low_s: float
    best_s: float
    high_s: float


@dataclass(frozen=True)
class _Slope:
    """Seconds per megapixel, with its standard error and the bounds that it makes sense in."""

    best: float
    error: float
    steepest: float

    @property
    def ends(self) -> tuple[float, float]:
        return max(self.best - 2 * self.error, 0.0), min(self.best + 2 * self.error, self.steepest)


def estimate(measured: Measured) -> TimeLeft | None:
    """The time left, or None when it is too early to tell."""
    whole, sample = measured.whole, measured.finished
    if whole.photos < FEWEST_FINISHED or whole.seconds <= 0 or not sample.photos:
        return None
    if measured.left == 0:
        return TimeLeft(0.0, 0.0, 0.0)
    slope = _fit(sample)
    speeds = [whole]
    if measured.recent is not None and measured.recent.photos >= FEWEST_RECENT and measured.recent.seconds > 0:
        speeds.append(measured.recent)
    low_s = min(_time_left(measured, speed, per, DONE_OF_HAND[1], 0.0) for speed in speeds for per in slope.ends)
    high_s = max(_time_left(measured, speed, per, 0.0, 1.0) for speed in speeds for per in slope.ends)
    likely = [_time_left(measured, speed, slope.best, DONE_OF_HAND[0], 0.5) for speed in speeds]
    best_s = math.prod(likely) ** (1 / len(likely))
    margin = 1 + MARGIN + _chance(measured)
    return TimeLeft(low_s / margin, best_s, high_s * margin)


def _fit(sample: Sample) -> _Slope:
    """Least squares through the sample, drawn towards what is usual as far as the sample leaves it open."""
    mean_m, mean_s, variance = sample.mean_megapixels, sample.mean_seconds, sample.variance_of_megapixels
    if not mean_m or not mean_s:
        return _Slope(0.0, 0.0, 0.0)
    steepest = mean_s / mean_m
    usual, usual_error = PRIOR_SHARE * steepest, PRIOR_ERROR * steepest
    if variance < (0.01 * mean_m) ** 2:
        return _Slope(usual, usual_error, steepest)
    measured = (sample.products / sample.photos - mean_m * mean_s) / variance
    scatter = max(sample.seconds_squared / sample.photos - mean_s**2 - measured**2 * variance, (0.01 * mean_s) ** 2)
    squared_error = CLUSTERING * scatter / (sample.photos * variance)
    weight, usual_weight = 1 / squared_error, 1 / usual_error**2
    best = (measured * weight + usual * usual_weight) / (weight + usual_weight)
    return _Slope(min(max(best, 0.0), steepest), (weight + usual_weight) ** -0.5, steepest)


def _time_left(measured: Measured, speed: Speed, per_megapixel: float, done_of_hand: float, tail: float) -> float:
    """Seconds at a speed.

    Args:
        measured: what is known.
        speed: one of its speeds.
        per_megapixel: seconds, to tell what is left from what was done by.
        done_of_hand: the share of the claimed photos whose work is done, but not committed.
        tail: at the end workers run out of photos one after the other, over so much of the time for what is in hand.
    """
    sample = measured.finished
    fixed = sample.mean_seconds - per_megapixel * sample.mean_megapixels
    cost_left = fixed + per_megapixel * measured.left_sample.mean_megapixels
    cost_done = fixed + per_megapixel * speed.mean_megapixels
    ratio = cost_left / cost_done if cost_left > 0 and cost_done > 0 else 1.0
    hidden = done_of_hand * measured.in_hand
    done = speed.photos + (hidden if speed is measured.whole else 0.0)
    idle = tail * measured.in_hand * (1 - 1 / max(measured.hands, 1))
    return max(measured.left - hidden + idle, 0.0) * ratio * speed.seconds / done


def _chance(measured: Measured) -> float:
    """The relative error that comes from having seen only some photos: of the time of one, and of what is left."""
    sample, left = measured.finished, measured.left_sample
    spread = 0.0
    if sample.seconds:
        spread = math.sqrt(max(sample.seconds_squared * sample.photos / sample.seconds**2 - 1, 0.0))
    of_speed = spread / math.sqrt(measured.whole.photos)
    of_left = 0.0
    if left.mean_megapixels and left.photos < measured.left:
        of_left = math.sqrt(CLUSTERING * left.variance_of_megapixels / left.photos) / left.mean_megapixels
    return 2 * math.hypot(of_speed, of_left)
