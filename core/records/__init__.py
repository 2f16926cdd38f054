"""The tables, one file per noun."""

from core.records.base import Base, new_id, utc_now
from core.records.event import JobEvent
from core.records.job import FINAL_JOB_STATES, Chunk, Job, JobState, PausedBy, Upload
from core.records.lease import Lease
from core.records.model_version import AliasName, ModelAlias, ModelSource, ModelVersion, Promotion
from core.records.photo import Photo, PhotoState
from core.records.training_material import MaterialState, MaterialUpload, Split, TrainingPhoto
from core.records.training_run import (
    FINAL_RUN_STATES,
    SCHEDULE_ID,
    RunState,
    RunTrigger,
    TrainingPoint,
    TrainingRun,
    TrainingSample,
    TrainingSchedule,
    Verdict,
)
from core.records.user import ApiKey, SetupLink, User

__all__ = [
    "FINAL_JOB_STATES",
    "FINAL_RUN_STATES",
    "SCHEDULE_ID",
    "AliasName",
    "ApiKey",
    "Base",
    "Chunk",
    "Job",
    "JobEvent",
    "JobState",
    "Lease",
    "MaterialState",
    "MaterialUpload",
    "ModelAlias",
    "ModelSource",
    "ModelVersion",
    "PausedBy",
    "Photo",
    "PhotoState",
    "Promotion",
    "RunState",
    "RunTrigger",
    "SetupLink",
    "Split",
    "TrainingPhoto",
    "TrainingPoint",
    "TrainingRun",
    "TrainingSample",
    "TrainingSchedule",
    "Upload",
    "User",
    "Verdict",
    "new_id",
    "utc_now",
]
