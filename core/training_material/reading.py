"""Looking at training material; nothing here changes any."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import NotFoundError
from core.records import MaterialUpload, RunState, Split, TrainingPhoto, TrainingRun
from core.training_material.uploads import USABLE


def list_uploads(session: Session) -> Sequence[MaterialUpload]:
    """All uploads, the newest first; withdrawn ones too."""
    return session.scalars(
        select(MaterialUpload).order_by(MaterialUpload.created_at.desc(), MaterialUpload.id.desc())
    ).all()


def get_upload(session: Session, upload_id: str) -> MaterialUpload:
    """An upload, or NotFoundError (`no_such_upload`)."""
    upload = session.get(MaterialUpload, upload_id)
    if upload is None:
        raise NotFoundError("no_such_upload", f"There is no upload {upload_id}.")
    return upload


def counts(session: Session, upload_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many files of each upload are `usable`, and how many are not, by their codes.

    What was withdrawn is counted as it was before.
    """
    found: dict[str, dict[str, int]] = {upload_id: {"usable": 0} for upload_id in upload_ids}
    rows = session.execute(
        select(TrainingPhoto.upload_id, TrainingPhoto.code, func.count())
        .where(TrainingPhoto.upload_id.in_(upload_ids))
        .group_by(TrainingPhoto.upload_id, TrainingPhoto.code)
    )
    for upload_id, code, count in rows:
        if upload_id is not None:
            found[upload_id][code or "usable"] = count
    return found


def summary(session: Session) -> dict[str, int]:
    """The whole material in numbers.

    `usable` is the sum of `train`, `frozen` and `held_out`; `approved` and `new` are parts of `train`: results that
    were approved, and what came since the last completed run began.
    """
    rows = session.execute(select(TrainingPhoto.split, func.count()).where(USABLE).group_by(TrainingPhoto.split))
    by_split = {Split(split): count for split, count in rows}
    train = select(func.count()).select_from(TrainingPhoto).where(USABLE, TrainingPhoto.split == Split.TRAIN)
    last = session.scalar(select(func.max(TrainingRun.started_at)).where(TrainingRun.state == RunState.COMPLETED))
    new = train if last is None else train.where(TrainingPhoto.created_at > last)
    return {
        "usable": sum(by_split.values()),
        **{split.value: by_split.get(split, 0) for split in Split},
        "approved": session.scalar(train.where(TrainingPhoto.photo_id.is_not(None))) or 0,
        "new": session.scalar(new) or 0,
    }


def usable_photos(session: Session, split: Split) -> Sequence[TrainingPhoto]:
    """The usable photographs of a split in the order of their hashes, each content once."""
    photos = session.scalars(
        select(TrainingPhoto).where(USABLE, TrainingPhoto.split == split).order_by(TrainingPhoto.sha256)
    )
    return list({photo.sha256: photo for photo in photos}.values())
