"""Which photographs a run is trained and compared on: settled when it first begins, and the same after a resume."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from core.records import Split, TrainingPhoto, utc_now
from core.training_material import lock_training, usable_photos
from core.training_runs.claims import RunClaim, held_run

VALIDATION_SHARE = 20
MOST_VALIDATION = 64
ENOUGH_FROZEN = 250
"""With so many, the intervals of both deciding numbers are about as wide as their tolerances (core.training.gate);
a smaller set that took no more would turn down nearly everything, for ever."""
SETS = ("train", "validation", "frozen", "held_out")


@dataclass(frozen=True)
class MaterialPhoto:
    """A photograph of a run's material: the hash of its bytes, where they are stored, and its path for people."""

    sha256: str
    key: str
    path: str


@dataclass(frozen=True)
class Snapshot:
    """The photographs of a run. No photograph is in two sets.

    Args:
        train: what the network learns from.
        validation: what a checkpoint is chosen by.
        frozen: the registry's fixed yardstick.
        held_out: the collection's own.
    """

    train: Sequence[MaterialPhoto]
    validation: Sequence[MaterialPhoto]
    frozen: Sequence[MaterialPhoto]
    held_out: Sequence[MaterialPhoto]


def settle_snapshot(session: Session, claim: RunClaim) -> Snapshot | None:
    """Settle what the run works on, or give what was settled before; None when the claim is void.

    What was withdrawn since then is left out. The frozen set takes no more from the first run on that finds
    ENOUGH_FROZEN in it; until then it grows with the collection.
    """
    schedule = lock_training(session)
    run = held_run(session, claim)
    if run is None:
        return None
    rows = {split: usable_photos(session, split) for split in Split}
    if not run.snapshot:
        run.snapshot = _settled(rows)
        if schedule.frozen_at is None and len(rows[Split.FROZEN]) >= ENOUGH_FROZEN:
            schedule.frozen_at = utc_now()
    by_hash = {photo.sha256: photo for photos in rows.values() for photo in photos}
    return Snapshot(*(_found(run.snapshot[name], by_hash) for name in SETS))


def _settled(rows: Mapping[Split, Sequence[TrainingPhoto]]) -> dict[str, Any]:
    # What a person approved was predicted by a network: nothing to choose a checkpoint by.
    uploaded = [photo.sha256 for photo in rows[Split.TRAIN] if photo.photo_id is None]
    validation = uploaded[: min(MOST_VALIDATION, len(uploaded) // VALIDATION_SHARE)]
    kept_back = set(validation)
    hashes = {
        "train": [photo.sha256 for photo in rows[Split.TRAIN] if photo.sha256 not in kept_back],
        "validation": validation,
        "frozen": [photo.sha256 for photo in rows[Split.FROZEN]],
        "held_out": [photo.sha256 for photo in rows[Split.HELD_OUT]],
    }
    every = hashlib.sha256("".join(f"{name} {' '.join(hashes[name])}\n" for name in SETS).encode())
    counts = {name: len(found) for name, found in hashes.items()}
    return {"sha256": every.hexdigest(), **hashes, "counts": counts}


def _found(hashes: Iterable[str], by_hash: Mapping[str, TrainingPhoto]) -> list[MaterialPhoto]:
    photos = [by_hash[sha256] for sha256 in hashes if sha256 in by_hash]
    return [MaterialPhoto(photo.sha256, photo.key, photo.path) for photo in photos]
