"""Results that a person approved to train on, each until that is withdrawn.

What a network once predicted is no truth to measure by: these are only ever trained on.
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import StateError
from core.records import Photo, PhotoState, Split, TrainingPhoto, utc_now
from core.training_material.lock import lock_training
from core.training_material.uploads import USABLE


def approve_photo(session: Session, photo: Photo, *, approved_by: str, key: str) -> TrainingPhoto:
    """Take a result into the training material. Approving it again changes nothing.

    Args:
        session: a writing one.
        photo: a photo that is done.
        approved_by: the person's id.
        key: where a copy of the result is stored already, so that the job may be deleted.

    Raises:
        StateError: not_done.
    """
    if photo.state != PhotoState.DONE:
        raise StateError("not_done", f"{photo.path} has no result that could be approved.")
    lock_training(session)
    row = session.scalar(select(TrainingPhoto).where(TrainingPhoto.photo_id == photo.id))
    if row is not None and row.withdrawn_at is None:
        return row
    same = session.scalar(select(TrainingPhoto.id).where(USABLE, TrainingPhoto.sha256 == photo.result_sha256).limit(1))
    row = row or TrainingPhoto(photo_id=photo.id)
    row.approved_by, row.path, row.key, row.sha256 = approved_by, photo.path, key, photo.result_sha256
    row.width, row.height = photo.width, photo.height
    row.split, row.code = Split.TRAIN, "duplicate" if same else ""
    row.created_at, row.withdrawn_at = utc_now(), None
    session.add(row)
    session.flush()
    return row


def withdraw_approval(session: Session, photo_id: str) -> list[str]:
    """Take an approved result out of the material again. Gives the keys to delete once this is committed.

    Nothing happens where it was not approved. Should the caller die before the deletion, the sweeper does it.
    """
    row = session.scalar(select(TrainingPhoto).where(TrainingPhoto.photo_id == photo_id).with_for_update())
    if row is None:
        return []
    row.withdrawn_at = row.withdrawn_at or utc_now()
    return [row.key] if row.key else []


def approved(session: Session, photo_ids: Sequence[str]) -> set[str]:
    """Which of these photos are approved."""
    found = select(TrainingPhoto.photo_id).where(
        TrainingPhoto.photo_id.in_(photo_ids), TrainingPhoto.withdrawn_at.is_(None)
    )
    return {photo_id for photo_id in session.scalars(found) if photo_id is not None}
