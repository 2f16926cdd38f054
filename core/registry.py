"""The registry of model versions: which there are, which one new jobs get, and how that came about.

Functions that only look need a reading session, the others a writing one; the caller commits. The weights themselves
are core.model_store's.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.errors import CheckpointError, NotFoundError, StateError
from core.records import (
    AliasName,
    ModelAlias,
    ModelSource,
    ModelVersion,
    Promotion,
    TrainingRun,
    Verdict,
    utc_now,
)

INSTALL, PROMOTE, ROLLBACK = "install", "promote", "rollback"
OURSELVES = "gray2hue"
"""Who acts where no person does."""


def get_version(session: Session, version: str) -> ModelVersion:
    """The version of that name; NotFoundError (`no_such_model`) where there is none."""
    found = session.get(ModelVersion, version)
    if found is None:
        raise NotFoundError("no_such_model", f"There is no model version {version}.")
    return found


def all_versions(session: Session) -> Sequence[ModelVersion]:
    """Every version, newest first."""
    newest_first = select(ModelVersion).order_by(ModelVersion.created_at.desc(), ModelVersion.version)
    return session.scalars(newest_first).all()


def newest_version(session: Session) -> ModelVersion | None:
    """The one that came last, unless it was trained and found to be no better than the one in use."""
    rejected = select(TrainingRun.candidate).where(
        TrainingRun.verdict == Verdict.REJECTED, TrainingRun.candidate.is_not(None)
    )
    newest_first = select(ModelVersion).order_by(ModelVersion.created_at.desc(), ModelVersion.version)
    return session.scalar(newest_first.where(ModelVersion.version.not_in(rejected)).limit(1))


def aliased(session: Session, name: AliasName) -> ModelVersion | None:
    """The version that an alias points at, if it points at one."""
    return session.scalar(select(ModelVersion).join(ModelAlias).where(ModelAlias.name == name))


def active_version(session: Session) -> ModelVersion:
    """The version that new jobs are pinned to; CheckpointError (`no_model`) before any is registered."""
    active = aliased(session, AliasName.ACTIVE)
    if active is None:
        raise CheckpointError("no_model", "No model is registered; run `gray2hue migrate`.")
    return active


def register(
    session: Session,
    version: str,
    name: str,
    sha256: str,
    *,
    source: ModelSource = ModelSource.IMPORTED,
    parent: str | None = None,
    key: str = "",
    metrics: Mapping[str, Any] | None = None,
    card: str = "",
) -> ModelVersion:
    """Record a version. It does not become the active one.

    One that is known stays as it is, but for where the storage has it, which is noted when it was not known before.

    Args:
        session: a writing one.
        version: its name.
        name: of the network.
        sha256: of the file of its weights.
        source: where the weights came from.
        parent: the version that training began from, if it is known.
        key: as model_store.store_model gives it; "" for weights that the storage does not have.
        metrics: what it was measured to have, by the names of core.training.metrics.
        card: Markdown for people.

    Raises:
        CheckpointError: version_reused (other weights have that name), weights_known (they have another name).
    """
    known = _known(session, version, sha256)
    if known is not None:
        known.key = known.key or key
        return known
    added = ModelVersion(version=version, name=name, sha256=sha256, source=source, parent=parent, key=key, card=card)
    added.metrics = dict(metrics or {})
    try:
        with session.begin_nested():
            session.add(added)
    except IntegrityError:
        # Somebody registered the same at the same time, and is done.
        known = _known(session, version, sha256)
        if known is None:
            raise
        return known
    return added


def _known(session: Session, version: str, sha256: str) -> ModelVersion | None:
    """The version with that name and these weights; CheckpointError where only one of the two is known."""
    alike = (ModelVersion.version == version) | (ModelVersion.sha256 == sha256)
    # In one statement: somebody may be registering the same between two.
    for known in session.scalars(select(ModelVersion).where(alike)):
        if known.sha256 != sha256:
            raise CheckpointError("version_reused", f"Model version {version} is known with another SHA-256.")
        if known.version != version:
            raise CheckpointError("weights_known", f"These weights are known already, as version {known.version}.")
        return known
    return None


def activate(session: Session, version: ModelVersion) -> None:
    """Have new jobs use a version that came with the program; nothing changes where they do already."""
    if _locked_active(session) != version.version:
        _make_active(session, version.version, INSTALL, OURSELVES, "")


def promote(session: Session, version: str, actor: str, reason: str = "") -> Promotion:
    """Have new jobs use a version from now on. It is no candidate any more.

    Args:
        session: a writing one.
        version: its name.
        actor: who wishes it: a person's name, "schedule" or "gray2hue".
        reason: why, in a sentence.

    Raises:
        NotFoundError: no_such_model.
        StateError: already_active.
    """
    wanted = get_version(session, version)
    if _locked_active(session) == wanted.version:
        raise StateError("already_active", f"New jobs get model version {version} already.")
    return _make_active(session, wanted.version, PROMOTE, actor, reason)


def roll_back(session: Session, actor: str, reason: str = "") -> Promotion:
    """Have new jobs use what they used before the present version was promoted; repeated, go back further.

    Args:
        session: a writing one.
        actor: who wishes it, as in `promote`.
        reason: why, in a sentence.

    Raises:
        StateError: nothing_to_roll_back, the present version is the first one.
    """
    _locked_active(session)
    standing = _standing(session)
    if len(standing) < 2:
        raise StateError("nothing_to_roll_back", "There is no earlier model version to go back to.")
    return _make_active(session, standing[-2], ROLLBACK, actor, reason)


def set_candidate(session: Session, version: str | None) -> None:
    """Let a version await an admin's decision, in place of any other that does; None for no one.

    Raises:
        NotFoundError: no_such_model.
        StateError: already_active.
    """
    if version is None:
        session.execute(delete(ModelAlias).where(ModelAlias.name == AliasName.CANDIDATE))
        return
    wanted = get_version(session, version)
    if _locked_active(session) == wanted.version:
        raise StateError("already_active", f"New jobs get model version {version} already.")
    session.merge(ModelAlias(name=AliasName.CANDIDATE, version=wanted.version, updated_at=utc_now()))
    session.flush()


def history(session: Session, limit: int = 100) -> Sequence[Promotion]:
    """How the active version changed, newest first."""
    return session.scalars(select(Promotion).order_by(Promotion.created_at.desc()).limit(limit)).all()


def _locked_active(session: Session) -> str | None:
    """The name of the active version; whoever else wishes to change it waits until this session ends."""
    return session.scalar(select(ModelAlias.version).where(ModelAlias.name == AliasName.ACTIVE).with_for_update())


def _standing(session: Session) -> list[str]:
    """What promotions that were not rolled back led to, oldest first; the last is the active version."""
    standing: list[str] = []
    for kind, version in session.execute(select(Promotion.kind, Promotion.version).order_by(Promotion.created_at)):
        if kind == ROLLBACK:
            standing.pop()
        else:
            standing.append(version)
    return standing


def _make_active(session: Session, version: str, kind: str, actor: str, reason: str) -> Promotion:
    previous = _locked_active(session)
    session.merge(ModelAlias(name=AliasName.ACTIVE, version=version, updated_at=utc_now()))
    session.execute(delete(ModelAlias).where(ModelAlias.name == AliasName.CANDIDATE, ModelAlias.version == version))
    noted = Promotion(version=version, previous=previous, kind=kind, actor=actor, reason=reason)
    noted.created_at = _later_than_all(session)
    session.add(noted)
    session.flush()
    return noted


def _later_than_all(session: Session) -> datetime:
    """The present time, or just after the last change where the clock was set back; rollbacks need the order."""
    newest = session.scalar(select(func.max(Promotion.created_at)))
    now = utc_now()
    return now if newest is None else max(now, newest + timedelta(microseconds=1))
