"""What may be done with a job as it stands, so that pages and programs are offered nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import jobs
from core.errors import NotFoundError
from core.records import Job, JobState, Photo, PhotoState
from web.auth import current_user

RETRYABLE_STATES = (JobState.COMPLETED_WITH_ERRORS, JobState.FAILED)


@dataclass(frozen=True)
class Offers:
    """What may be done with one job."""

    pause: bool
    resume: bool
    retry: bool


def offers(session: Session, listed: Sequence[Job]) -> dict[str, Offers]:
    """What may be done with each of the jobs, by their ids."""
    over = [job.id for job in listed if job.state in RETRYABLE_STATES]
    # What failed before it was in any chunk was refused as what it is, and would be again.
    failed = (Photo.state == PhotoState.FAILED, Photo.chunk.is_not(None))
    found = select(Photo.job_id).where(Photo.job_id.in_(over), *failed).distinct()
    retryable = set(session.scalars(found)) if over else set()
    return {
        job.id: Offers(
            pause=job.state in (JobState.QUEUED, JobState.RUNNING),
            resume=job.state == JobState.PAUSED,
            retry=job.id in retryable,
        )
        for job in listed
    }


def get_kept_job(session: Session, job_id: str) -> Job:
    """The job of this person, or anybody's for an admin, whose bytes are still there.

    Raises:
        NotFoundError: `not_found`; `job_expired`, when they were deleted or are about to be.
    """
    job = jobs.get_job(session, job_id, current_user())
    if job.state == JobState.EXPIRED:
        raise NotFoundError("job_expired", f"{job.name} was deleted, with its originals and results.")
    return job
