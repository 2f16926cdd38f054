"""A small bench for training runs and their schedule, driven without workers, on each database."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from core import training_runs as runs
from core.database import Database
from core.records import RunState, RunTrigger, Split, TrainingPhoto, TrainingRun, Verdict, utc_now
from core.training.config import parse_config
from core.training_runs import RunClaim, Snapshot, TrainHint

CONFIG = parse_config("quick", {"steps": 10}).model_dump(mode="json")


@dataclass
class Bench:
    """Calls, each in its own transaction."""

    database: Database

    def submit(self, **values: Any) -> str:
        given = {"trigger": RunTrigger.ADMIN, "actor": "ada", "config": CONFIG, **values}
        with self.database.write() as session:
            return runs.submit_run(session, **given).id

    def claim(self, run_id: str, owner: str = "w1") -> RunClaim | None:
        with self.database.write() as session:
            return runs.claim_run(session, run_id, owner, 30)

    def finish(self, claim: RunClaim, verdict: Verdict = Verdict.REJECTED) -> bool:
        with self.database.write() as session:
            given = {"reason": "no better", "candidate": "v-test", "result": {"outcome": "not_better"}}
            return runs.finish_run(session, claim, verdict=verdict, **given)

    def do(self, function: Any, *arguments: Any) -> Any:
        with self.database.write() as session:
            return function(session, *arguments)

    def snapshot(self, claim: RunClaim) -> Snapshot | None:
        return self.do(runs.settle_snapshot, claim)

    def sweep(self) -> list[TrainHint]:
        with self.database.write() as session:
            return runs.sweep_runs(session, resend_after_s=30, max_deaths=3)

    def schedule(self, **values: Any) -> None:
        given = {"enabled": True, "cron": "0 3 * * *", "min_new_photos": 2, "auto_promote": False}
        given |= {"recipe": "quick", "options": {"steps": 10}, "actor": "ada"}
        with self.database.write() as session:
            runs.set_schedule(session, **{**given, **values})

    def start_due(self, now: datetime) -> list[TrainHint]:
        return self.do(runs.start_due, now)

    def photos(self, first: int, count: int, split: Split = Split.TRAIN, **values: Any) -> None:
        """Usable material, as uploads leave it."""
        with self.database.write() as session:
            for number in range(first, first + count):
                row = TrainingPhoto(path=f"{number}.jpg", key=f"k/{number}", sha256=f"{number:064x}", split=split)
                for name, value in values.items():
                    setattr(row, name, value)
                session.add(row)

    def age(self, seconds: float) -> None:
        """Let all leases and sent hints grow older."""
        past = utc_now() - timedelta(seconds=seconds)
        with self.database.write() as session:
            session.execute(update(TrainingRun).values(sent_at=past))
            session.execute(update(TrainingRun).where(TrainingRun.lease_until.is_not(None)).values(lease_until=past))

    def run(self, run_id: str) -> TrainingRun:
        with self.database.read() as session:
            return runs.get_run(session, run_id)

    def all(self) -> list[TrainingRun]:
        with self.database.read() as session:
            return list(session.scalars(select(TrainingRun)))

    def states(self, *run_ids: str) -> list[RunState]:
        return [RunState(self.run(run_id).state) for run_id in run_ids]


@pytest.fixture
def bench(database: Database) -> Bench:
    return Bench(database)
