"""A photograph of a job: what came in, where it stands, what came out."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from core.records.base import Base, UtcDateTime, new_id, utc_now


class PhotoState(StrEnum):
    """Where a photo stands. All but the first two are final."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELED = "canceled"


class Photo(Base):
    """One file of a job, by its path in the upload.

    `position` counts the job's files in the order of the upload and keys the pages of a listing. `epoch` fences: each
    claim raises it, and an outcome is written only where it still is the claim's. `claimed_alone` tells that the claim
    was for this photo only, and `deaths` counts the workers that died with it so. `result_path_sha256` is the hash of
    the result's path as a file system that ignores case and Unicode form would see it: unique within the job, and short
    enough for an index.

    `warning` is a code, empty for most; `losses` tell in words what the result lacks of the original. The lightness
    errors are |dL| in 0..100, `mean_chroma` is the network's, and `runtime` names what computed it.
    """

    __tablename__ = "photos"
    __table_args__ = (
        UniqueConstraint("job_id", "position"),
        UniqueConstraint("job_id", "result_path_sha256"),
        Index(None, "job_id", "state", "finished_at"),
        Index(None, "job_id", "chunk"),
        Index(None, "job_id", "warning"),
        Index(None, "state", "lease_until"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    position: Mapped[int]
    chunk: Mapped[int | None]
    path: Mapped[str] = mapped_column(Text)
    state: Mapped[PhotoState] = mapped_column(String(16), default=PhotoState.PENDING)
    code: Mapped[str] = mapped_column(String(64), default="")
    message: Mapped[str] = mapped_column(Text, default="")

    original_key: Mapped[str] = mapped_column(String(200), default="")
    media_type: Mapped[str] = mapped_column(String(64), default="")
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64), default="")
    width: Mapped[int | None]
    height: Mapped[int | None]
    bit_depth: Mapped[int | None]

    result_path: Mapped[str] = mapped_column(Text, default="")
    result_path_sha256: Mapped[str | None] = mapped_column(String(64))
    result_key: Mapped[str] = mapped_column(String(200), default="")
    result_size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    result_sha256: Mapped[str] = mapped_column(String(64), default="")
    result_media_type: Mapped[str] = mapped_column(String(64), default="", server_default="")
    model_version: Mapped[str] = mapped_column(String(100), default="")
    runtime: Mapped[str] = mapped_column(String(100), default="", server_default="")
    seconds: Mapped[float | None]
    warning: Mapped[str] = mapped_column(String(64), default="", server_default="")
    losses: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    lightness_error_mean: Mapped[float | None]
    lightness_error_max: Mapped[float | None]
    mean_chroma: Mapped[float | None]

    lease_owner: Mapped[str] = mapped_column(String(200), default="")
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    epoch: Mapped[int] = mapped_column(default=0)
    claimed_alone: Mapped[bool] = mapped_column(default=False, server_default=false())
    deaths: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
