"""A job, the files that were uploaded for it, and the chunks its photos are worked on by."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.options import JobOptions
from core.records.base import Base, OptionsJson, UtcDateTime, new_id, utc_now
from core.records.user import User


class JobState(StrEnum):
    """Where a job stands. The last five are final; only from them there is a way to `expired`."""

    RECEIVING = "receiving"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELING = "canceling"
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


FINAL_JOB_STATES = frozenset(
    {JobState.COMPLETED, JobState.COMPLETED_WITH_ERRORS, JobState.FAILED, JobState.CANCELED, JobState.EXPIRED}
)


class PausedBy(StrEnum):
    """Who paused a job: a person has to let it go on; what the system paused goes on by itself."""

    NOBODY = ""
    PERSON = "person"
    SYSTEM = "system"


class Job(Base):
    """One upload of one person, pinned to one model version and to the options that it was sent with.

    `ingested_at` is set once every file of the uploads has its row. `ingest_*` is the lease under which one worker
    unpacks the uploads. `code` and `message` tell why a job failed, or why the system paused it.

    The row is there before the first byte of the uploads is stored: they are waited for until `receiving_until`, which
    is prolonged as bytes come in. `last_served_at` is when a worker last took a chunk, for fair turns. Bytes are
    deleted after `expires_at`, `lifetime_days` after the job's end (0: never); `purged_at` tells that they are gone.
    `tidied_at` is when what dead workers had left in the storage was deleted, after the job's end.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "owner_id", "created_at"), Index(None, "state"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(Text)
    state: Mapped[JobState] = mapped_column(String(24), default=JobState.QUEUED)
    code: Mapped[str] = mapped_column(String(64), default="")
    message: Mapped[str] = mapped_column(Text, default="")
    model_version: Mapped[str] = mapped_column(ForeignKey("model_versions.version"))
    options: Mapped[JobOptions] = mapped_column(OptionsJson, default=JobOptions, server_default="{}")
    express: Mapped[bool] = mapped_column(default=False)
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    paused_by: Mapped[PausedBy] = mapped_column(String(16), default=PausedBy.NOBODY, server_default="")
    lifetime_days: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    receiving_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_served_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    purged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    tidied_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ingested_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ingest_sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ingest_owner: Mapped[str] = mapped_column(String(200), default="")
    ingest_lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ingest_epoch: Mapped[int] = mapped_column(default=0)
    ingest_deaths: Mapped[int] = mapped_column(default=0)

    owner: Mapped[User] = relationship()
    uploads: Mapped[list["Upload"]] = relationship(order_by="Upload.position", cascade="all, delete-orphan")


class Upload(Base):
    """One file as it was sent: an archive, or a photograph by itself. `key` is empty once it was unpacked."""

    __tablename__ = "uploads"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(String(200))
    size_bytes: Mapped[int] = mapped_column(BigInteger)


class Chunk(Base):
    """A handful of a job's photos that one message asks for.

    A chunk is open until `finished_at`; `sent_at` is when its message was last sent, empty before the first time.
    """

    __tablename__ = "chunks"
    __table_args__ = (Index(None, "job_id", "finished_at", "sent_at"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
