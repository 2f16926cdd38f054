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

FINAL_STATES = frozenset({"completed", "completed_with_errors", "failed", "canceled"})


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
        507: StorageFullError,
    }
    return kinds.get(status, TransientError if status >= 500 or status == 429 else OptionsError)(code, message)
