"""What the HTTP API answers with, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx

from core.errors import (
    AuthenticationError,
    Gray2HueError,
    NotFoundError,
    OptionsError,
    StateError,
    StorageFullError,
    TransientError,
)

FINAL_STATES = frozenset({"completed", "completed_with_errors", "failed", "canceled", "expired"})


@dataclass(frozen=True)
class JobView:
    """A job as the API shows it; `raw` is the whole answer."""

    id: str
    name: str
    state: str
    code: str
    message: str
    counts: Mapping[str, int]
    total: int
    unpacking: bool
    rate_per_s: float | None
    eta_s: float | None
    created_at: str
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        """The view of one answer."""
        named = {name: raw[name] for name in cls.__dataclass_fields__ if name != "raw"}
        return cls(**named, raw=raw)

    @property
    def over(self) -> bool:
        """Whether the job has come to its end, whichever."""
        return self.state in FINAL_STATES

    @property
    def time_left_s(self) -> tuple[float, float] | None:
        """At least and at most so many seconds, as far as the stack can tell."""
        low, high = self.raw.get("eta_low_s"), self.raw.get("eta_high_s")
        return None if low is None or high is None else (low, high)

    @property
    def rests(self) -> str:
        """Why a paused job does not go on, in words; empty for one that is not paused."""
        if self.state != "paused":
            return ""
        if self.raw.get("paused_by") == "system":
            return "paused: no room left on the server; it goes on by itself when there is room"
        return f"paused; it goes on after: gray2hue jobs resume {self.id[:8]}"

    @property
    def finished(self) -> int:
        """How many of its files are over."""
        return self.total - self.counts["pending"] - self.counts["running"]

    @property
    def all_came_out(self) -> bool:
        """Whether every photograph was colorized; what is no photograph does not count."""
        return self.state == "completed" and not (self.counts["failed"] or self.counts["canceled"])


def error_of(response: httpx.Response) -> Gray2HueError:
    """The error behind an answer of status 400 or more."""
    status = response.status_code
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    code = str(problem.get("code") or f"http_{status}")
    message = str(problem.get("detail") or problem.get("title") or f"The server answered {status}.")
    kinds = {
        401: AuthenticationError,
        403: AuthenticationError,
        404: NotFoundError,
        409: StateError,
        410: NotFoundError,
        507: StorageFullError,
    }
    return kinds.get(status, TransientError if status >= 500 or status == 429 else OptionsError)(code, message)
