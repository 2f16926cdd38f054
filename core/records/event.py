"""What happened to a job and its photos, one row for each change of a state; rows are added and never changed."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.records.base import Base, UtcDateTime, utc_now

_OF_THE_JOB = text("photo_id IS NULL")


class JobEvent(Base):
    """A job's or, where `photo_id` is set, a photo's change of its state.

    `from_state` is empty where there was none before. `code` is why, as far as there is something to say, and `actor`
    who did it: `user:<id>`, a worker as it names itself in leases, or `sweeper`.
    """

    __tablename__ = "job_events"
    __table_args__ = (
        Index(None, "job_id", "id"),
        # A large job has hundreds of thousands of its photos' changes, and a handful of its own.
        Index(None, "job_id", "photo_id", "id", sqlite_where=_OF_THE_JOB, postgresql_where=_OF_THE_JOB),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    photo_id: Mapped[str | None] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    from_state: Mapped[str] = mapped_column(String(24), default="")
    to_state: Mapped[str] = mapped_column(String(24))
    code: Mapped[str] = mapped_column(String(64), default="")
    actor: Mapped[str] = mapped_column(String(200), default="")
