"""Where model versions' weights are: immutable in the storage, with copies on every machine that colorizes.

A version that the storage has lies under models/<version>/ as model.json, its weights and README.md, its card. Every
copy is compared with the SHA-256 that the registry has before it is used.
"""

import hashlib
import io
import logging
import secrets
import shutil
from pathlib import Path, PurePosixPath

from core.checkpoints.locating import find_model
from core.checkpoints.metadata import (
    CARD_NAME,
    METADATA_NAME,
    ModelMetadata,
    parse_metadata,
    read_metadata,
    read_weights,
)
from core.checkpoints.prepared import PreparedModel
from core.errors import CheckpointError, NotFoundError, StorageError
from core.machine import locked
from core.records import ModelVersion
from core.storage import Storage

log = logging.getLogger(__name__)

FOLDER = "models"


def store_model(storage: Storage, prepared: PreparedModel, card: str = "") -> str:
    """Store a version; durable on return. Doing it again changes nothing, but makes what was damaged whole.

    Register it first, in the transaction that is committed afterwards: then nobody else stores other weights under
    its name at the same time.

    Args:
        storage: that all machines share.
        prepared: the version.
        card: Markdown for people, in place of the one that came with it.

    Returns:
        Its key, for the registry.

    Raises:
        CheckpointError: version_reused, other weights are stored under that name.
        StorageError: nothing, or not all, was stored.
    """
    metadata = prepared.metadata
    key = f"{FOLDER}/{metadata.version}"
    if _has_whole(storage, key, metadata):
        return key
    storage.put(f"{key}/{metadata.weights}", io.BytesIO(prepared.weights))
    storage.put(f"{key}/{CARD_NAME}", io.BytesIO((card or prepared.card).encode()))
    # Last, since it says that the version is there.
    storage.put(f"{key}/{METADATA_NAME}", io.BytesIO(prepared.metadata_json()))
    return key


def read_stored(storage: Storage, key: str, sha256: str) -> PreparedModel:
    """A version out of the storage, compared with the registry's SHA-256.

    Raises:
        CheckpointError: model_version_missing, damaged_weights, bad_metadata, wrong_architecture.
        StorageError: the storage cannot be read; nothing is known about the version.
    """
    metadata = _stored_metadata(storage, key)
    weights = _read(storage, f"{key}/{metadata.weights}")
    if metadata.sha256 != sha256 or hashlib.sha256(weights).hexdigest() != sha256:
        message = f"The sha256 of what the storage has under {key} is not the one it was registered with."
        raise CheckpointError("damaged_weights", message)
    try:
        card = _read(storage, f"{key}/{CARD_NAME}").decode(errors="replace")
    except CheckpointError:
        card = ""
    return PreparedModel(metadata, weights, card=card)


def weights_key(storage: Storage, key: str, sha256: str) -> str:
    """Where the storage has a version's weights, whose bytes should have the registry's SHA-256.

    Raises:
        CheckpointError: model_version_missing, damaged_weights, bad_metadata, wrong_architecture.
        StorageError: the storage cannot be read; nothing is known about the version.
    """
    metadata = _stored_metadata(storage, key)
    if metadata.sha256 != sha256:
        raise CheckpointError("damaged_weights", f"{key} in the storage holds other weights than were registered.")
    return f"{key}/{metadata.weights}"


def fetch_model(storage: Storage, key: str, sha256: str, imported_dir: Path) -> Path:
    """This machine's copy of a version that the storage has, made where it is missing or damaged.

    Args:
        storage: that all machines share.
        key: of the version, from the registry.
        sha256: of its weights, from the registry.
        imported_dir: this machine's copies, a folder each; one is written aside, compared and renamed.

    Returns:
        The folder with model.json and the weights, byte for byte as they were registered.

    Raises:
        CheckpointError: as read_stored says.
        StorageError: the storage cannot be read, or imported_dir not written.
    """
    folder = imported_dir / PurePosixPath(key).name
    if _is_whole(folder, sha256):
        return folder
    try:
        imported_dir.mkdir(parents=True, exist_ok=True)
        # One that is being replaced could be another's who has just fetched it.
        with locked(imported_dir / f".{folder.name}.lock"):
            if not _is_whole(folder, sha256):
                prepared = read_stored(storage, key, sha256)
                _remove(folder)
                prepared.store(imported_dir)
                log.info("fetched model version %s from the storage", prepared.metadata.version)
    except OSError as error:
        raise StorageError("storage_failed", f"{folder} cannot be written: {error.strerror}.") from error
    return folder


def _is_whole(folder: Path, sha256: str) -> bool:
    """Whether a copy is there and has the weights with that SHA-256."""
    try:
        check_folder(folder, sha256)
    except CheckpointError as error:
        if folder.exists():
            log.warning("the copy of a model in %s cannot be used: %s", folder, error.message)
        return False
    return True


def check_stored(storage: Storage, registered: ModelVersion, shipped_dir: Path, imported_dir: Path) -> None:
    """Raise where nobody could use a version: what the storage should have of it is not there, whole, or it came with
    a program that another one, with another model, took the place of.

    Args:
        storage: that all machines share.
        registered: the version.
        shipped_dir: the model.json of what comes with the program; its weights need not be on this machine.
        imported_dir: this machine's copies, a folder each.

    Raises:
        CheckpointError, StorageError: as read_stored says.
    """
    if registered.key:
        read_stored(storage, registered.key, registered.sha256)
    else:
        find_model(registered.version, shipped_dir, imported_dir)


def provide_model(storage: Storage, registered: ModelVersion, shipped_dir: Path, imported_dir: Path) -> Path:
    """The folder on this machine with a registered version's model.json and weights, wherever they come from.

    Args:
        storage: that all machines share.
        registered: the version.
        shipped_dir: the model that comes with the program.
        imported_dir: this machine's copies, a folder each.

    Raises:
        CheckpointError: model_version_missing, damaged_weights, bad_metadata, wrong_architecture.
        StorageError: the storage cannot be read, or imported_dir not written.
    """
    if registered.key:
        return fetch_model(storage, registered.key, registered.sha256, imported_dir)
    folder = find_model(registered.version, shipped_dir, imported_dir)
    check_folder(folder, registered.sha256)
    return folder


def check_folder(folder: Path, sha256: str) -> None:
    """Raise unless a folder holds the weights with that SHA-256, whole.

    Raises:
        CheckpointError: missing_weights, damaged_weights, bad_metadata, wrong_architecture.
    """
    metadata = read_metadata(folder)
    if metadata.sha256 != sha256:
        message = f"{folder} holds other weights than were registered as version {metadata.version}."
        raise CheckpointError("damaged_weights", message)
    read_weights(folder, metadata)


def _has_whole(storage: Storage, key: str, metadata: ModelMetadata) -> bool:
    """Whether the storage has these weights, whole; CheckpointError (`version_reused`) where it has others."""
    try:
        if _stored_metadata(storage, key).sha256 == metadata.sha256:
            read_stored(storage, key, metadata.sha256)
            return True
    except CheckpointError:
        return False
    message = f"Other weights are stored as model version {metadata.version}; choose another name."
    raise CheckpointError("version_reused", message)


def _stored_metadata(storage: Storage, key: str) -> ModelMetadata:
    metadata = parse_metadata(_read(storage, f"{key}/{METADATA_NAME}"), f"{key}/{METADATA_NAME} in the storage")
    if f"{FOLDER}/{metadata.version}" != key:
        message = f"What the storage has under {key} calls itself version {metadata.version}."
        raise CheckpointError("damaged_weights", message)
    return metadata


def _read(storage: Storage, key: str) -> bytes:
    try:
        with storage.open(key) as stream:
            return stream.read()
    except NotFoundError as error:
        message = f"The storage has no {key}, which belongs to a model version."
        raise CheckpointError("model_version_missing", message) from error


def _remove(folder: Path) -> None:
    """Take a folder away at once, if it is there, so that nobody sees a part of it."""
    aside = folder.with_name(f".{folder.name}-{secrets.token_hex(8)}")
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return
    shutil.rmtree(aside, ignore_errors=True)
