"""Every change of a job's or a photo's state. No torch, no Celery, no Flask.

The callers open a writing transaction, call one function, let it commit, and only then send the hints that it returned:
a hint that gets lost is sent again by the sweeper.
"""

from core.jobs.claims import (
    ClaimedPhoto,
    PhotoResult,
    abandon_photos,
    claim_chunk,
    fail_photo,
    finish_chunk,
    finish_photo,
    release_photos,
    renew_photos,
    skip_photo,
)
from core.jobs.ingest import (
    IngestClaim,
    NewPhoto,
    add_photos,
    claim_ingest,
    fail_ingest,
    finish_ingest,
    photos_added,
    release_ingest,
    renew_ingest,
    result_paths,
)
from core.jobs.lifecycle import Hint, JobLimits, cancel, dispatch, is_stopping, submit
from core.jobs.reading import (
    JobProgress,
    PhotoCounts,
    count_photos,
    get_job,
    get_photo,
    list_jobs,
    list_photos,
    measure_progress,
)
from core.jobs.sweep import sweep, take_up

__all__ = [
    "ClaimedPhoto",
    "Hint",
    "IngestClaim",
    "JobLimits",
    "JobProgress",
    "NewPhoto",
    "PhotoCounts",
    "PhotoResult",
    "abandon_photos",
    "add_photos",
    "cancel",
    "claim_chunk",
    "claim_ingest",
    "count_photos",
    "dispatch",
    "fail_ingest",
    "fail_photo",
    "finish_chunk",
    "finish_ingest",
    "finish_photo",
    "get_job",
    "get_photo",
    "is_stopping",
    "list_jobs",
    "list_photos",
    "measure_progress",
    "photos_added",
    "release_ingest",
    "release_photos",
    "renew_ingest",
    "renew_photos",
    "result_paths",
    "skip_photo",
    "submit",
    "sweep",
    "take_up",
]
