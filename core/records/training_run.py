"""Training runs, what was measured on their way, and when they start by themselves."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.records.base import Base, UtcDateTime, new_id, utc_now


class RunState(StrEnum):
    """Where a training run stands. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELING = "canceling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


FINAL_RUN_STATES = frozenset({RunState.COMPLETED, RunState.FAILED, RunState.CANCELED})


class RunTrigger(StrEnum):
    """Who or what asked for a run."""

    ADMIN = "admin"
    SCHEDULE = "schedule"
    CLI = "cli"


class Verdict(StrEnum):
    """What the comparison of a run's model with the one in use led to; `candidate` awaits an admin's decision."""

    PROMOTED = "promoted"
    CANDIDATE = "candidate"
    REJECTED = "rejected"


class TrainingRun(Base):
    """One training of a model version from its parent.

    `config` is a core.training.config.TrainingConfig in full. `snapshot` says what it was trained and compared on:
    `sha256` over all photographs' hashes, `train`, `frozen` and `held_out` as lists of them, `counts`. `phase` is one
    word for people while it runs: preparing, training, comparing. `result` holds the comparison as core.training.gate
    gives it. `actor` is a person's name or "schedule".
    """

    __tablename__ = "training_runs"
    __table_args__ = (Index(None, "state"), Index(None, "created_at"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    trigger: Mapped[RunTrigger] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(100))
    config: Mapped[dict[str, Any]] = mapped_column(JSON)
    parent: Mapped[str] = mapped_column(ForeignKey("model_versions.version"))
    state: Mapped[RunState] = mapped_column(String(16), default=RunState.QUEUED)
    phase: Mapped[str] = mapped_column(String(16), default="")
    step: Mapped[int] = mapped_column(default=0)
    steps_total: Mapped[int] = mapped_column(default=0)
    snapshot: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    result: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    verdict: Mapped[Verdict | None] = mapped_column(String(16))
    verdict_reason: Mapped[str] = mapped_column(Text, default="")
    candidate: Mapped[str | None] = mapped_column(ForeignKey("model_versions.version"))
    code: Mapped[str] = mapped_column(String(64), default="")
    message: Mapped[str] = mapped_column(Text, default="")
    lease_owner: Mapped[str] = mapped_column(String(200), default="")
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    epoch: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class TrainingPoint(Base):
    """What was measured at one step of a run: losses, validation, speed, the device's use.

    Steps that are done again after a resume are written again.
    """

    __tablename__ = "training_points"

    run_id: Mapped[str] = mapped_column(ForeignKey("training_runs.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    measured: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)


class TrainingSample(Base):
    """A picture that shows how far a run has come; `kind` is gray, before, after or truth, `number` the photo's."""

    __tablename__ = "training_samples"

    run_id: Mapped[str] = mapped_column(ForeignKey("training_runs.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    key: Mapped[str] = mapped_column(String(200))


SCHEDULE_ID = 1


class TrainingSchedule(Base):
    """The one row that says when runs start by themselves, with what, and whether a better model is promoted at once.

    `cron` is a five-field cron line in UTC. `next_at` is the next moment to look; who moves it on is who starts the
    run. `min_new_photos` is how much usable new material to train on a run by schedule needs. `frozen_at` is when the
    frozen set was settled.
    """

    __tablename__ = "training_schedules"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=SCHEDULE_ID)
    enabled: Mapped[bool] = mapped_column(default=False)
    cron: Mapped[str] = mapped_column(String(100), default="0 3 * * 0")
    min_new_photos: Mapped[int] = mapped_column(default=100)
    auto_promote: Mapped[bool] = mapped_column(default=False)
    config: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    frozen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now, onupdate=utc_now)
    updated_by: Mapped[str] = mapped_column(String(100), default="")
