"""How long to wait before a part that died is started again."""

from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Delays that double from `first_s` to `longest_s`, and begin anew after a run of `calm_s` without a death."""

    first_s: float = 1.0
    longest_s: float = 30.0
    calm_s: float = 60.0
    _next_s: float = field(default=0.0, init=False)

    def next_delay(self, ran_s: float) -> float:
        """Seconds to wait after a run of `ran_s` seconds ended in a death."""
        delay_s = self.first_s if ran_s >= self.calm_s or self._next_s == 0.0 else self._next_s
        self._next_s = min(delay_s * 2, self.longest_s)
        return delay_s


@dataclass
class DeathCount:
    """Whether a part dies so often that waiting for it makes no sense: `most` deaths within `window_s` seconds."""

    most: int = 4
    window_s: float = 90.0
    _at: list[float] = field(default_factory=list, init=False)

    def add(self, now: float) -> bool:
        """Count a death at `now` (monotonic seconds); True when it was one too many."""
        self._at = [at for at in self._at if now - at < self.window_s] + [now]
        return len(self._at) >= self.most
