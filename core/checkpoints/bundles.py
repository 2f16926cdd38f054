"""One file that holds a whole model version: a ZIP of model.json, the weights and README.md, for another machine."""

import hashlib
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from core.checkpoints.metadata import CARD_NAME, METADATA_NAME, parse_metadata
from core.checkpoints.prepared import PreparedModel
from core.checkpoints.state_files import check_weights
from core.errors import CheckpointError

MAX_TEXT_BYTES = 4 * 2**20
MAX_WEIGHTS_BYTES = 2 * 2**30
DAMAGE = (BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error)
"""What zipfile raises for archives that are damaged, encrypted or packed in a way it does not know."""


def is_bundle(path: Path) -> bool:
    """Whether a file is a ZIP with a model.json in it. What torch saves is a ZIP too, without one."""
    try:
        with ZipFile(path) as archive:
            return _metadata_name(archive) is not None
    except DAMAGE:
        return False


def read_bundle(path: Path) -> PreparedModel:
    """The version in a file that write_bundle wrote, perhaps repacked with a folder around all.

    Raises:
        CheckpointError: bad_bundle; damaged_weights, bad_metadata, wrong_architecture, not_weights, not_finite.
        OSError: the file cannot be read.
    """
    try:
        with ZipFile(path) as archive:
            name = _metadata_name(archive) or METADATA_NAME
            folder = name.removesuffix(METADATA_NAME)
            metadata = parse_metadata(_read(archive, name, MAX_TEXT_BYTES), f"{name} in {path}")
            weights = _read(archive, folder + metadata.weights, MAX_WEIGHTS_BYTES)
            has_card = folder + CARD_NAME in archive.namelist()
            card = _read(archive, folder + CARD_NAME, MAX_TEXT_BYTES) if has_card else b""
    except DAMAGE as error:
        raise CheckpointError("bad_bundle", f"{path} is no ZIP that can be read: {error}.") from error
    if hashlib.sha256(weights).hexdigest() != metadata.sha256:
        raise CheckpointError("damaged_weights", f"The sha256 of the weights in {path} is not the one it says.")
    check_weights(weights, metadata, path)
    return PreparedModel(metadata, weights, card=card.decode(errors="replace"))


def write_bundle(target: BinaryIO, prepared: PreparedModel) -> None:
    """Write a version as a ZIP. The same version gives the same bytes.

    Args:
        target: a binary stream that is empty.
        prepared: the version.
    """
    with ZipFile(target, "w") as archive:
        archive.writestr(_entry(METADATA_NAME), prepared.metadata_json(), ZIP_DEFLATED)
        archive.writestr(_entry(CARD_NAME), prepared.card.encode(), ZIP_DEFLATED)
        # Weights hardly become smaller.
        archive.writestr(_entry(prepared.metadata.weights), prepared.weights, ZIP_STORED)


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name)
    entry.external_attr = 0o100644 << 16
    return entry


def _metadata_name(archive: ZipFile) -> str | None:
    """The path of model.json, at the top or in a folder."""
    for name in archive.namelist():
        path = PurePosixPath(name)
        if path.name == METADATA_NAME and len(path.parts) <= 2:
            return name
    return None


def _read(archive: ZipFile, name: str, max_bytes: int) -> bytes:
    """An entry's bytes; CheckpointError (`bad_bundle`) where there is none, or it is larger than what it may be."""
    try:
        with archive.open(name) as entry:
            content = entry.read(max_bytes + 1)
    except KeyError as error:
        raise CheckpointError("bad_bundle", f"{archive.filename} has no {name}.") from error
    if len(content) > max_bytes:
        raise CheckpointError("bad_bundle", f"{name} in {archive.filename} is larger than {max_bytes} bytes.")
    return content
