"""Color photographs to train on: what an admin uploaded, and results that a person approved. No torch, no images.

The callers open a writing transaction, call one function, let it commit, and only then send the hints that it returned
or delete the bytes under the keys that it gave.

lock.py       the row that takes in material and starts runs one at a time
split.py      what a photograph is for: to train on, or to compare by
uploads.py    an upload from its arrival to its rows
approvals.py  approved results
withdrawal.py what goes with an upload that is taken back: runs under way, pictures, what is left of it
reading.py    listings and counts
sweep.py      what the sweeper does about lost hints, dead workers and needless bytes
"""

from core.training_material.approvals import approve_photo, approved, withdraw_approval
from core.training_material.lock import first_schedule, lock_training
from core.training_material.reading import counts, get_upload, list_uploads, summary, usable_photos
from core.training_material.split import LEAST_COMPARED, split_of
from core.training_material.sweep import forget_keys, free_uploads, needless_keys, sweep_uploads, take_up_uploads
from core.training_material.uploads import (
    MaterialClaim,
    MaterialHint,
    NewTrainingPhoto,
    add_photos,
    add_upload,
    claim_upload,
    fail_upload,
    finish_upload,
    photos_added,
    release_upload,
    renew_upload,
    stored_keys,
    usable_fingerprints,
    usable_keys,
)
from core.training_material.withdrawal import (
    Leavings,
    folder_of_run,
    folder_of_upload,
    leavings,
    note_cleared,
    withdraw_upload,
)

__all__ = [
    "LEAST_COMPARED",
    "Leavings",
    "MaterialClaim",
    "MaterialHint",
    "NewTrainingPhoto",
    "add_photos",
    "add_upload",
    "approve_photo",
    "approved",
    "claim_upload",
    "counts",
    "fail_upload",
    "finish_upload",
    "first_schedule",
    "folder_of_run",
    "folder_of_upload",
    "forget_keys",
    "free_uploads",
    "get_upload",
    "leavings",
    "list_uploads",
    "lock_training",
    "needless_keys",
    "note_cleared",
    "photos_added",
    "release_upload",
    "renew_upload",
    "split_of",
    "stored_keys",
    "summary",
    "sweep_uploads",
    "take_up_uploads",
    "usable_fingerprints",
    "usable_keys",
    "usable_photos",
    "withdraw_approval",
    "withdraw_upload",
]
