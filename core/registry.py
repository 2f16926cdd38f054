"""The registry of model versions: which there are, and which one new jobs get."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import CheckpointError
from core.records import AliasName, ModelAlias, ModelVersion, Promotion, utc_now


def active_version(session: Session) -> ModelVersion:
    """The version that new jobs are pinned to; CheckpointError (`no_model`) before any is registered."""
    active = aliased(session, AliasName.ACTIVE)
    if active is None:
        raise CheckpointError("no_model", "No model is registered; run `gray2hue migrate`.")
    return active


def aliased(session: Session, name: AliasName) -> ModelVersion | None:
    """The version that an alias points at, if it points at one."""
    return session.scalar(select(ModelVersion).join(ModelAlias).where(ModelAlias.name == name))


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


def activate(session: Session, version: ModelVersion, kind: str = "install", actor: str = "gray2hue") -> None:
    """Make a version the one that new jobs get, and note that it became so."""
    previous = aliased(session, AliasName.ACTIVE)
    if previous is version:
        return
    session.merge(ModelAlias(name=AliasName.ACTIVE, version=version.version, updated_at=utc_now()))
    noted = previous.version if previous is not None else None
    session.add(Promotion(version=version.version, previous=noted, kind=kind, actor=actor))
    session.flush()
