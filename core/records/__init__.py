"""The tables, one file per noun."""

from core.records.base import Base, new_id, utc_now
from core.records.job import FINAL_JOB_STATES, Chunk, Job, JobState, Upload
from core.records.model_version import ModelVersion
from core.records.photo import Photo, PhotoState
from core.records.user import ApiKey, SetupLink, User

__all__ = [
    "FINAL_JOB_STATES",
    "ApiKey",
    "Base",
    "Chunk",
    "Job",
    "JobState",
    "ModelVersion",
    "Photo",
    "PhotoState",
    "SetupLink",
    "Upload",
    "User",
    "new_id",
    "utc_now",
]
