"""The registry of model versions: which one new jobs get."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import CheckpointError
from core.records import ModelVersion


def active_version(session: Session) -> ModelVersion:
    """The version that new jobs are pinned to; CheckpointError (`no_model`) before any is registered."""
    active = session.scalar(select(ModelVersion).where(ModelVersion.active))
    if active is None:
        raise CheckpointError("no_model", "No model is registered; run `gray2hue migrate`.")
    return active
