"""Every change of a training run's state, and the schedule that starts runs. No torch, no Celery, no Flask.

The callers open a writing transaction, call one function, let it commit, and only then send the hints that it returned.

lifecycle.py  submitting and canceling
claims.py     a run in a worker's hands
snapshot.py   which photographs it works on
schedule.py   when runs start by themselves
reading.py    listings, curves, pictures
sweep.py      what the sweeper does about lost hints and dead trainers
"""

from core.training_runs.claims import (
    RunClaim,
    claim_run,
    fail_run,
    finish_run,
    note_point,
    note_progress,
    note_sample,
    release_run,
    renew_run,
    set_phase,
)
from core.training_runs.lifecycle import TrainHint, cancel_run, submit_run
from core.training_runs.reading import get_run, get_sample, is_colorizing, list_runs, points, samples
from core.training_runs.schedule import get_schedule, next_moment, set_schedule, start_due
from core.training_runs.snapshot import MaterialPhoto, Snapshot, settle_snapshot
from core.training_runs.sweep import free_runs, sweep_runs, take_up_runs

__all__ = [
    "MaterialPhoto",
    "RunClaim",
    "Snapshot",
    "TrainHint",
    "cancel_run",
    "claim_run",
    "fail_run",
    "finish_run",
    "free_runs",
    "get_run",
    "get_sample",
    "get_schedule",
    "is_colorizing",
    "list_runs",
    "next_moment",
    "note_point",
    "note_progress",
    "note_sample",
    "points",
    "release_run",
    "renew_run",
    "samples",
    "set_phase",
    "set_schedule",
    "settle_snapshot",
    "start_due",
    "submit_run",
    "sweep_runs",
    "take_up_runs",
]
