"""An upload of training material from its arrival to its rows: one worker at a time, under a lease, resumable."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from core.database import for_update
from core.records import MaterialState, MaterialUpload, Split, TrainingPhoto, utc_now
from core.training_material.lock import lock_training
from core.training_material.split import split_of

OPEN_MATERIAL_STATES = (MaterialState.QUEUED, MaterialState.READING)
USABLE = (TrainingPhoto.code == "") & TrainingPhoto.withdrawn_at.is_(None)

KEYS_AT_ONCE = 500
BEFORE_CLAIM = timedelta(minutes=5)
"""What was added so shortly before a reading began may have been committed later, or by a clock that is behind."""


@dataclass(frozen=True)
class MaterialHint:
    """A message worth sending: read this upload."""

    upload_id: str


@dataclass(frozen=True)
class MaterialClaim:
    """The right to read one upload; void as soon as somebody else claimed a higher epoch, or it was withdrawn."""

    upload_id: str
    epoch: int
    claimed_at: datetime
    name: str
    key: str
    size_bytes: int


@dataclass(frozen=True)
class NewTrainingPhoto:
    """A file found in an upload. With a `code` it is not to be trained on, and nothing of it is stored."""

    path: str
    code: str = ""
    key: str = ""
    sha256: str = ""
    fingerprint: str = ""
    width: int | None = None
    height: int | None = None


def add_upload(
    session: Session, *, upload_id: str, owner_id: str, name: str, key: str, size_bytes: int
) -> MaterialUpload:
    """Record an upload whose bytes are already durable in the storage."""
    upload = MaterialUpload(
        id=upload_id, owner_id=owner_id, name=name, key=key, size_bytes=size_bytes, sent_at=utc_now()
    )
    session.add(upload)
    session.flush()
    return upload


def claim_upload(session: Session, upload_id: str, owner: str, lease_s: float) -> MaterialClaim | None:
    """Take the reading of an upload, or give None where there is nothing to read or somebody is at it."""
    upload = lock_upload(session, upload_id)
    now = utc_now()
    if upload is None or upload.state not in OPEN_MATERIAL_STATES:
        return None
    if upload.lease_until is not None and upload.lease_until > now:
        return None
    upload.state = MaterialState.READING
    upload.lease_owner, upload.lease_until = owner, now + timedelta(seconds=lease_s)
    upload.epoch += 1
    return MaterialClaim(upload.id, upload.epoch, now, upload.name, upload.key, upload.size_bytes)


def renew_upload(session: Session, claim: MaterialClaim, lease_s: float) -> bool:
    """Prolong the lease; False when the claim is void."""
    upload = _held(session, claim)
    if upload is not None:
        upload.lease_until = utc_now() + timedelta(seconds=lease_s)
    return upload is not None


def release_upload(session: Session, claim: MaterialClaim) -> None:
    """Let go unharmed, e.g. when the storage is away; the sweeper sends the hint again."""
    upload = _held(session, claim)
    if upload is not None:
        let_go(upload)
        upload.state = MaterialState.QUEUED


def photos_added(session: Session, upload_id: str) -> int:
    """How many files of the upload have their row; a reader goes on behind them."""
    counted = select(func.count()).select_from(TrainingPhoto).where(TrainingPhoto.upload_id == upload_id)
    return session.scalar(counted) or 0


def stored_keys(session: Session, upload_id: str) -> set[str]:
    """Where the upload's photographs are stored, as far as they have their rows."""
    keys = select(TrainingPhoto.key).where(TrainingPhoto.upload_id == upload_id, TrainingPhoto.key != "")
    return set(session.scalars(keys))


def usable_fingerprints(session: Session) -> list[str]:
    """The fingerprints of all usable photographs that have one."""
    return list(session.scalars(select(TrainingPhoto.fingerprint).where(USABLE, TrainingPhoto.fingerprint != "")))


def usable_keys(session: Session, keys: Sequence[str]) -> set[str]:
    """Which of these keys are those of photographs that are usable still."""
    found: set[str] = set()
    for start in range(0, len(keys), KEYS_AT_ONCE):
        some = keys[start : start + KEYS_AT_ONCE]
        found.update(session.scalars(select(TrainingPhoto.key).where(USABLE, TrainingPhoto.key.in_(some))))
    return found


def add_photos(
    session: Session, claim: MaterialClaim, photos: Sequence[NewTrainingPhoto], near_bits: int = 0
) -> list[str] | None:
    """Record files of the upload; None when the claim is void. Deaths before this progress do not count any more.

    A usable one that is among the usable ones already gets the code `duplicate`. What was usable when the reading
    began has been compared with by its reader; what others have added since then is nearly the same where the
    fingerprints differ in no more than `near_bits` bits. Gives the keys of the duplicates, whose bytes are not needed.
    """
    schedule = lock_training(session)
    upload = _held(session, claim)
    if upload is None:
        return None
    upload.deaths = 0
    added_since = _fingerprints_added_since(session, claim)
    needless = []
    for photo in photos:
        row = TrainingPhoto(upload_id=claim.upload_id, **vars(photo))
        if not row.code and (_is_known(session, row) or _is_near(row.fingerprint, added_since, near_bits)):
            needless.append(row.key)
            row.code, row.key = "duplicate", ""
        row.split = split_of(row.sha256, schedule.frozen_at is not None) if row.sha256 else Split.TRAIN
        session.add(row)
        session.flush()
    return needless


def finish_upload(session: Session, claim: MaterialClaim) -> bool:
    """Close the reading: every file has its row, and the upload's own bytes become needless. False when it is void.

    An upload without a single photograph that can be used fails as `no_usable_photographs`.
    """
    upload = _held(session, claim)
    if upload is None:
        return False
    let_go(upload)
    if session.scalar(select(TrainingPhoto.id).where(TrainingPhoto.upload_id == upload.id, USABLE).limit(1)) is None:
        upload.state, upload.code = MaterialState.FAILED, "no_usable_photographs"
        upload.message = f"There is no photograph in {upload.name} that can be trained on."
    else:
        upload.state = MaterialState.READY
    return True


def fail_upload(session: Session, claim: MaterialClaim, code: str, message: str) -> bool:
    """End the reading as failed; what was found before stays usable. False when the claim is void."""
    upload = _held(session, claim)
    if upload is None:
        return False
    let_go(upload)
    upload.state, upload.code, upload.message = MaterialState.FAILED, code, message
    return True


def _is_known(session: Session, photo: TrainingPhoto) -> bool:
    same: ColumnElement[bool] = TrainingPhoto.sha256 == photo.sha256
    if photo.fingerprint:
        same = or_(same, TrainingPhoto.fingerprint == photo.fingerprint)
    return session.scalar(select(TrainingPhoto.id).where(USABLE, same).limit(1)) is not None


def _fingerprints_added_since(session: Session, claim: MaterialClaim) -> list[int]:
    """Of usable photographs that came in with other uploads since the reading began."""
    added = select(TrainingPhoto.fingerprint).where(
        USABLE,
        TrainingPhoto.fingerprint != "",
        TrainingPhoto.upload_id != claim.upload_id,
        TrainingPhoto.created_at > claim.claimed_at - BEFORE_CLAIM,
    )
    return [int(fingerprint, 16) for fingerprint in session.scalars(added)]


def _is_near(fingerprint: str, others: Iterable[int], near_bits: int) -> bool:
    if not fingerprint:
        return False
    mine = int(fingerprint, 16)
    return any((mine ^ other).bit_count() <= near_bits for other in others)


def let_go(upload: MaterialUpload) -> None:
    """End the lease. The sweeper gives the next hint: to read on, or to delete what is left of it."""
    upload.lease_owner, upload.lease_until = "", None
    upload.sent_at = utc_now()


def lock_upload(session: Session, upload_id: str) -> MaterialUpload | None:
    """The upload's row, as it is now and locked until the transaction ends; None where there is no such upload."""
    return session.scalar(for_update(select(MaterialUpload).where(MaterialUpload.id == upload_id)))


def _held(session: Session, claim: MaterialClaim) -> MaterialUpload | None:
    upload = lock_upload(session, claim.upload_id)
    if upload is None or upload.epoch != claim.epoch or upload.lease_until is None:
        return None
    return upload
