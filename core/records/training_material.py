"""Color photographs to train on: uploaded for it, or results that a person approved."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.records.base import Base, UtcDateTime, new_id, utc_now
from core.records.user import User


class MaterialState(StrEnum):
    """Where an upload of training material stands. `ready` means that every file in it has its row."""

    QUEUED = "queued"
    READING = "reading"
    READY = "ready"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


class Split(StrEnum):
    """What a photograph is for; by the hash of its bytes, so that the same one never changes sides.

    `frozen` ones are the registry's fixed yardstick: which they are is settled once, before the first comparison.
    `held_out` ones are the collection's own, and grow with it. Neither is ever trained on.
    """

    TRAIN = "train"
    FROZEN = "frozen"
    HELD_OUT = "held_out"


class MaterialUpload(Base):
    """One archive or photograph that an admin brought to train on.

    `key` is empty once it was read or withdrawn. `lease_*` and `epoch` fence the one worker that reads it; `sent_at` is
    when its hint was last sent, empty once an upload that is over was cleared away. `code` and `message` tell why it
    failed.
    """

    __tablename__ = "material_uploads"
    __table_args__ = (Index(None, "state"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(String(200))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[MaterialState] = mapped_column(String(16), default=MaterialState.QUEUED)
    code: Mapped[str] = mapped_column(String(64), default="")
    message: Mapped[str] = mapped_column(Text, default="")
    lease_owner: Mapped[str] = mapped_column(String(200), default="")
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    epoch: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    owner: Mapped[User] = relationship()


class TrainingPhoto(Base):
    """One file of the training material, by its path in the upload.

    Usable where `code` is empty and `withdrawn_at` is not set; else `code` tells what is against it: dull, gray, toned,
    duplicate, unreadable, too_small. `upload_id` names the upload it came in, `photo_id` the colorized photo whose
    approved result it is; one of both is set. `fingerprint` is a perceptual hash, 16 hexadecimal digits.
    """

    __tablename__ = "training_photos"
    __table_args__ = (
        Index(None, "upload_id"),
        Index(None, "sha256"),
        Index(None, "fingerprint"),
        Index(None, "split", "withdrawn_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    upload_id: Mapped[str | None] = mapped_column(ForeignKey("material_uploads.id", ondelete="CASCADE"))
    photo_id: Mapped[str | None] = mapped_column(String(32), unique=True)
    approved_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    path: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(String(200), default="")
    sha256: Mapped[str] = mapped_column(String(64), default="")
    fingerprint: Mapped[str] = mapped_column(String(16), default="")
    split: Mapped[Split] = mapped_column(String(16), default=Split.TRAIN)
    code: Mapped[str] = mapped_column(String(64), default="")
    width: Mapped[int | None]
    height: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
