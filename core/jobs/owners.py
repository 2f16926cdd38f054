"""How much one person may have open and stored at a time."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import LimitError
from core.jobs.states import OPEN_PHOTO_STATES
from core.records import FINAL_JOB_STATES, Job, Photo, Upload, User


@dataclass(frozen=True)
class OwnerLimits:
    """What one person may have at a time; 0 is no limit.

    Args:
        open_jobs: jobs that are not over, those whose uploads still come in included.
        open_photos: photos of theirs that wait or are in hand.
        stored_bytes: uploads, originals and results that are stored.
    """

    open_jobs: int = 0
    open_photos: int = 0
    stored_bytes: int = 0


def check_limits(session: Session, owner_id: str, limits: OwnerLimits, new_bytes: int = 0) -> None:
    """Refuse a further job of a person who has too much already. Counts and the job's row belong in one transaction.

    Args:
        new_bytes: what the uploads will need, as far as it is known.

    Raises:
        LimitError: `too_many_open_jobs`, `too_many_open_photos`, `stored_bytes_exceeded`.
    """
    # Locked, so that two uploads at the same moment do not both find the last place free.
    session.execute(select(User.id).where(User.id == owner_id).with_for_update())
    if limits.open_jobs and _open_jobs(session, owner_id) >= limits.open_jobs:
        raise LimitError("too_many_open_jobs", f"At most {limits.open_jobs:,} jobs may be open at a time.")
    if limits.open_photos and _open_photos(session, owner_id) >= limits.open_photos:
        message = f"At most {limits.open_photos:,} photographs may wait at a time; send more when some are done."
        raise LimitError("too_many_open_photos", message)
    if limits.stored_bytes and stored_bytes(session, owner_id) + new_bytes > limits.stored_bytes:
        message = f"At most {limits.stored_bytes:,} bytes may be stored for one person; delete jobs to make room."
        raise LimitError("stored_bytes_exceeded", message)


def stored_bytes(session: Session, owner_id: str) -> int:
    """What is stored of a person's jobs: uploads that are not unpacked yet, originals and results, in bytes."""
    mine = (Job.owner_id == owner_id, Job.purged_at.is_(None))
    each = func.coalesce(Photo.size_bytes, 0) + func.coalesce(Photo.result_size_bytes, 0)
    photos = select(func.coalesce(func.sum(each), 0)).join(Job, Job.id == Photo.job_id).where(*mine)
    waiting = select(func.coalesce(func.sum(Upload.size_bytes), 0)).join(Job, Job.id == Upload.job_id)
    sums = (photos.where(Photo.original_key != ""), waiting.where(*mine, Upload.key != ""))
    return sum(int(session.scalar(total) or 0) for total in sums)


def _open_jobs(session: Session, owner_id: str) -> int:
    open_jobs = select(func.count()).where(Job.owner_id == owner_id, Job.state.not_in(FINAL_JOB_STATES))
    return session.scalar(open_jobs) or 0


def _open_photos(session: Session, owner_id: str) -> int:
    waiting = select(func.count()).select_from(Photo).join(Job, Job.id == Photo.job_id)
    mine = (Job.owner_id == owner_id, Job.state.not_in(FINAL_JOB_STATES), Photo.state.in_(OPEN_PHOTO_STATES))
    return session.scalar(waiting.where(*mine)) or 0
