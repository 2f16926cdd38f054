"""The registry of model versions: which there are, and which one new jobs get."""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.errors import CheckpointError
from core.records import ModelVersion


def active_version(session: Session) -> ModelVersion:
    """The version that new jobs are pinned to; CheckpointError (`no_model`) before any is registered."""
    active = session.scalar(select(ModelVersion).where(ModelVersion.active))
    if active is None:
        raise CheckpointError("no_model", "No model is registered; run `gray2hue migrate`.")
    return active


def all_versions(session: Session) -> Sequence[ModelVersion]:
    """Every version, newest first."""
    return session.scalars(select(ModelVersion).order_by(ModelVersion.created_at.desc(), ModelVersion.version)).all()


def register(session: Session, version: str, name: str, sha256: str) -> ModelVersion:
    """Record a version, unless it is known already. It does not become the active one.

    Args:
        session: a writing one.
        version: its name.
        name: of the network.
        sha256: of the file of its weights.

    Raises:
        CheckpointError: version_reused (other weights have that name), weights_known (they have another name).
    """
    known = session.get(ModelVersion, version)
    if known is None:
        twin = session.scalar(select(ModelVersion).where(ModelVersion.sha256 == sha256))
        if twin is not None:
            raise CheckpointError("weights_known", f"These weights are known already, as version {twin.version}.")
        known = ModelVersion(version=version, name=name, sha256=sha256)
        session.add(known)
        session.flush()
    elif known.sha256 != sha256:
        raise CheckpointError("version_reused", f"Model version {version} is known with another SHA-256.")
    return known


def activate(session: Session, version: ModelVersion) -> None:
    """Make a version the one that new jobs get."""
    session.execute(update(ModelVersion).values(active=False))
    version.active = True
    session.flush()
