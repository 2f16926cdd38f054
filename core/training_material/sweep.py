"""The sweeper's part: hints that got lost, readers that died, bytes that nobody needs any more."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from core.records import MaterialState, MaterialUpload, Split, TrainingPhoto, utc_now
from core.training_material.uploads import KEYS_AT_ONCE, OPEN_MATERIAL_STATES, MaterialHint, let_go


def sweep_uploads(session: Session, *, resend_after_s: float, max_deaths: int) -> list[MaterialHint]:
    """Take back what dead workers held, and give every hint that may be lost.

    An upload that is over gets one too, until a worker has deleted what is left of it; then its `sent_at` is not set.
    """
    hints = []
    now = utc_now()
    unsettled = or_(MaterialUpload.state.in_(OPEN_MATERIAL_STATES), MaterialUpload.sent_at.is_not(None))
    uploads = select(MaterialUpload).where(unsettled).order_by(MaterialUpload.created_at).with_for_update()
    for upload in session.scalars(uploads):
        if upload.lease_until is not None:
            if upload.lease_until > now:
                continue
            upload.deaths += 1
            let_go(upload)
            if upload.deaths >= max_deaths:
                upload.state, upload.code = MaterialState.FAILED, "worker_died"
                upload.message = f"Reading {upload.name} ended {upload.deaths} workers."
                continue
        elif upload.sent_at is not None and upload.sent_at > now - timedelta(seconds=resend_after_s):
            continue
        upload.sent_at = now
        hints.append(MaterialHint(upload.id))
    session.flush()
    return hints


def take_up_uploads(session: Session) -> None:
    """Put back unharmed what an earlier run's workers were reading; only where none of them can be alive."""
    opened = update(MaterialUpload).where(MaterialUpload.state.in_(OPEN_MATERIAL_STATES))
    session.execute(opened.values(state=MaterialState.QUEUED, lease_owner="", lease_until=None, sent_at=None))


def free_uploads(session: Session, owner_prefix: str, alive: Collection[str] = ()) -> int:
    """End the leases of owners that are known to be dead, so that the next round takes their uploads back.

    Args:
        owner_prefix: what the dead ones' names begin with.
        alive: names that do so too, and whose leases stand.

    Returns:
        How many leases were ended.
    """
    now = utc_now()
    owner = MaterialUpload.lease_owner
    is_dead = owner.startswith(owner_prefix, autoescape=True) & owner.not_in(alive)
    freed = update(MaterialUpload).where(is_dead, MaterialUpload.lease_until > now).values(lease_until=now)
    return len(session.scalars(freed.returning(MaterialUpload.id)).all())


def needless_keys(session: Session) -> list[str]:
    """Where bytes are stored that nobody needs: of uploads that were read, and of all that was withdrawn."""
    over = (MaterialState.READY, MaterialState.FAILED, MaterialState.WITHDRAWN)
    uploads = select(MaterialUpload.key).where(MaterialUpload.state.in_(over), MaterialUpload.key != "")
    # Every split is named so that an index leads to the few that were withdrawn.
    photos = select(TrainingPhoto.key).where(
        TrainingPhoto.split.in_(tuple(Split)), TrainingPhoto.withdrawn_at.is_not(None), TrainingPhoto.key != ""
    )
    return [*session.scalars(uploads), *session.scalars(photos)]


def forget_keys(session: Session, keys: Sequence[str]) -> None:
    """Note that nothing is stored under these keys any more."""
    for start in range(0, len(keys), KEYS_AT_ONCE):
        some = keys[start : start + KEYS_AT_ONCE]
        session.execute(update(MaterialUpload).where(MaterialUpload.key.in_(some)).values(key=""))
        withdrawn = TrainingPhoto.withdrawn_at.is_not(None)
        session.execute(update(TrainingPhoto).where(TrainingPhoto.key.in_(some), withdrawn).values(key=""))
