"""What lies in a storage folder, against what the database says should lie there."""

from pathlib import Path

from sqlalchemy import select

from core.database import Database
from core.records import Photo, PhotoState, Upload

PREVIEWS = (".preview", ".thumbnail")


def expected_files(database: Database) -> set[str]:
    """The keys of all that jobs have stored once they are over: originals, results, small copies of what is done."""
    columns = select(Photo.state, Photo.original_key, Photo.result_key)
    photos = database.look_patiently(lambda session: session.execute(columns).all())
    waiting = select(Upload.key).where(Upload.key != "")
    keys = set(database.look_patiently(lambda session: session.scalars(waiting).all()))
    for state, original_key, result_key in photos:
        done = state == PhotoState.DONE
        own = [key for key in (original_key, result_key if done else "") if key]
        keys.update(own)
        if done:
            keys.update(key + suffix for key in own for suffix in PREVIEWS)
    return keys


def found_files(storage_dir: Path) -> set[str]:
    """The keys of all files in the folder, and the paths of what is half-written or on its way in."""
    return {path.relative_to(storage_dir).as_posix() for path in storage_dir.rglob("*") if path.is_file()}


def differences(database: Database, storage_dir: Path) -> list[str]:
    """What is missing, and what is left over, a line each."""
    expected, found = expected_files(database), found_files(storage_dir)
    missing = [f"missing: {key}" for key in sorted(expected - found)]
    return missing + [f"left over: {key}" for key in sorted(found - expected) if not _may_be_there(key)]


def _may_be_there(key: str) -> bool:
    """Small copies of an original whose photo failed or was left as it is are neither asked for nor in the way."""
    return key.endswith(PREVIEWS) and "/originals/" in key
