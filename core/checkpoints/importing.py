"""Taking weights in: from somebody's file to an immutable folder of ours."""

import hashlib
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from core.checkpoints.metadata import METADATA_NAME, VERSION_PATTERN, ModelMetadata, read_metadata, read_weights
from core.checkpoints.state_files import GeneratorState, read_generator_state
from core.errors import CheckpointError
from core.machine import fsync

WEIGHTS_NAME = "model.safetensors"
TRAIN_SIZE = 256
"""Edge in pixels of the pictures that the seed's generators were trained on; their files do not say it."""


@dataclass(frozen=True)
class PreparedModel:
    """A version that can be stored.

    Args:
        metadata: what its model.json will say.
        weights: the bytes of its safetensors file, in the precision of the file they came from.
        left_out: the names of what was in that file beside the generator's weights.
    """

    metadata: ModelMetadata
    weights: bytes
    left_out: tuple[str, ...]

    def store(self, imported_dir: Path) -> Path:
        """Make the version's folder: written aside, fsynced, renamed. Doing it again changes nothing.

        Raises:
            CheckpointError: version_reused (other weights have that name); damaged_weights, bad_metadata (of the folder
                that is there).
            OSError: the folder cannot be written.
        """
        folder = imported_dir / self.metadata.version
        if folder.exists():
            _check_same(folder, self.metadata)
        else:
            _write(folder, self.metadata, self.weights)
        return folder


def prepare_model(path: Path, version: str | None = None) -> PreparedModel:
    """Read a file of weights that another program wrote.

    Args:
        path: see state_files.read_generator_state.
        version: its name; None to call it by the file's name and the beginning of the weights' SHA-256.

    Raises:
        CheckpointError: bad_version; as read_generator_state says.
        OSError: the file cannot be read.
    """
    if version is not None and not re.fullmatch(VERSION_PATTERN, version):
        message = f"{version!r} is no name of a version: up to 64 letters, digits, dots, dashes and underscores."
        raise CheckpointError("bad_version", message)
    state = read_generator_state(path)
    weights = _serialize(state)
    sha256 = hashlib.sha256(weights).hexdigest()
    metadata = ModelMetadata(
        name=path.stem[:100],
        version=version or _version_of(path, sha256),
        weights=WEIGHTS_NAME,
        sha256=sha256,
        architecture=state.architecture,
        input="L/50-1",
        output="ab/110",
        train_size=TRAIN_SIZE,
    )
    return PreparedModel(metadata, weights, state.left_out)


def _check_same(folder: Path, metadata: ModelMetadata) -> None:
    """Raise unless a folder holds these very weights, whole; CheckpointError (`version_reused`) for others."""
    if read_metadata(folder).sha256 != metadata.sha256:
        message = f"Version {metadata.version} is taken by other weights; choose another name."
        raise CheckpointError("version_reused", message)
    read_weights(folder, metadata)


def _serialize(state: GeneratorState) -> bytes:
    import safetensors.torch

    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in state.tensors.items()}
    content: bytes = safetensors.torch.save(tensors)
    return content


def _version_of(path: Path, sha256: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("._-") or "model"
    return f"{name[:48]}-{sha256[:8]}"


def _write(folder: Path, metadata: ModelMetadata, weights: bytes) -> None:
    aside = folder.with_name(f".{folder.name}-{secrets.token_hex(8)}")
    aside.mkdir(parents=True)
    try:
        _write_durably(aside / metadata.weights, weights)
        _write_durably(aside / METADATA_NAME, metadata.model_dump_json(indent=2).encode() + b"\n")
        fsync(aside)
        aside.rename(folder)
        fsync(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_durably(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    fsync(path)
