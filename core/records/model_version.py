"""Model versions that jobs are pinned to, and the names that point at them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.records.base import Base, UtcDateTime, new_id, utc_now


class ModelSource(StrEnum):
    """Where a version's weights came from."""

    SHIPPED = "shipped"
    IMPORTED = "imported"
    TRAINED = "trained"


class ModelVersion(Base):
    """One immutable set of weights, known by its version's name.

    `parent` names the version that training began from; it need not be one of this registry. `metrics` are the numbers
    it was measured to have (as core.training.metrics names them), `card` is Markdown for people. `key` is the folder in
    the storage that holds model.json and the weights, empty for those that come with the program.
    """

    __tablename__ = "model_versions"

    version: Mapped[str] = mapped_column(String(100), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    source: Mapped[ModelSource] = mapped_column(String(16), default=ModelSource.IMPORTED, server_default="imported")
    parent: Mapped[str | None] = mapped_column(String(100))
    key: Mapped[str] = mapped_column(String(200), default="", server_default="")
    metrics: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}")
    card: Mapped[str] = mapped_column(Text, default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)


class AliasName(StrEnum):
    """`active` is the version that new jobs get, `candidate` one that awaits an admin's decision."""

    ACTIVE = "active"
    CANDIDATE = "candidate"


class ModelAlias(Base):
    """A name that points at one version, and can be made to point at another."""

    __tablename__ = "model_aliases"

    name: Mapped[AliasName] = mapped_column(String(16), primary_key=True)
    version: Mapped[str] = mapped_column(ForeignKey("model_versions.version"))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now, onupdate=utc_now)


class Promotion(Base):
    """One change of the active version; the newest of all is the present state.

    `kind` is "install", "promote" or "rollback"; `actor` is a person's name, "schedule" or "gray2hue".
    """

    __tablename__ = "promotions"
    __table_args__ = (Index(None, "created_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    version: Mapped[str] = mapped_column(ForeignKey("model_versions.version"))
    previous: Mapped[str | None] = mapped_column(ForeignKey("model_versions.version"))
    kind: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(100))
    reason: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
