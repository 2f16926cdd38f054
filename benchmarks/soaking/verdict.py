"""What is judged at the end of a soak."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from benchmarks.soaking.blows import recoveries
from benchmarks.soaking.outcomes import OutcomeLedger
from benchmarks.soaking.photos import DAMAGED, KILLER
from benchmarks.soaking.stored import differences
from core.boundaries import Boundary
from core.database import Database
from core.records import FINAL_JOB_STATES, Job, Photo, PhotoState

REPEATED_SHARE = 0.05
RECOVERY_S = 45.0


@dataclass(frozen=True)
class Finding:
    """One thing that is judged: what was measured, and how much it may be at most."""

    what: str
    measured: float
    at_most: float

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        return self.measured <= self.at_most


def network_passes(ledger: Path) -> Counter[str]:
    """How often the network was done with each photo, from the ledger of boundaries."""
    lines = (line.split() for line in ledger.read_text().splitlines())
    return Counter(about for boundary, about, _pid, _at in lines if boundary == Boundary.NETWORK_DONE)


def judge(
    database: Database, ledger: OutcomeLedger, boundaries: Path, storage_dir: Path, blows: Sequence[float]
) -> list[Finding]:
    """All findings.

    Args:
        boundaries: the ledger of boundaries.
        blows: when a worker was killed.
    """
    columns = select(Photo.id, Photo.path, Photo.state, Photo.code)
    photos = database.look_patiently(lambda session: session.execute(columns).all())
    states = database.look_patiently(lambda session: session.scalars(select(Job.state)).all())
    committed, passes = ledger.committed(), network_passes(boundaries)
    done = {photo_id for photo_id, _path, state, _code in photos if state == PhotoState.DONE}
    good = {photo_id for photo_id, path, _state, _code in photos if not path.startswith((DAMAGED, KILLER))}
    wrong = [code for _id, path, _state, code in photos if code != expected_code(path)]
    repeated = sum(count - 1 for count in passes.values()) / max(1, len(passes))
    late = sorted(recoveries(sorted(blows), ledger.times()))
    missing = [line for line in differences(database, storage_dir) if line.startswith("missing")]
    return [
        Finding("jobs that are not over", sum(state not in FINAL_JOB_STATES for state in states), 0),
        Finding("good photographs that are not done", len(good - done), 0),
        Finding("photographs with another code than theirs", len(wrong), 0),
        Finding("photographs whose result was committed twice", sum(count > 1 for count in committed.values()), 0),
        Finding("results committed of photographs that are not done", len(set(committed) - done), 0),
        Finding("photographs done without a commit in the ledger", len(done - set(committed)), 0),
        Finding("files missing in the storage", len(missing), 0),
        Finding("network passes that were repeated, of all photographs", repeated, REPEATED_SHARE),
        Finding("seconds from a kill to the next committed result, p99", percentile(late, 0.99), RECOVERY_S),
    ]


def expected_code(path: str) -> str:
    """The code that a file's photo has to end with."""
    return "truncated_image" if path.startswith(DAMAGED) else "worker_died" if path.startswith(KILLER) else ""


def percentile(ordered: Sequence[float], share: float) -> float:
    """By nearest rank; 0 of nothing."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
