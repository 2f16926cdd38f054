"""Taking weights in: from somebody's file to a version of ours."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from core.checkpoints.bundles import is_bundle, read_bundle
from core.checkpoints.metadata import VERSION_PATTERN, ModelMetadata
from core.checkpoints.prepared import PreparedModel
from core.checkpoints.state_files import GeneratorState, read_generator_state
from core.errors import CheckpointError

WEIGHTS_NAME = "model.safetensors"
TRAIN_SIZE = 256
"""Edge in pixels of the pictures that the seed's generators were trained on; their files do not say it."""


def prepare_model(path: Path, version: str | None = None) -> PreparedModel:
    """Read a file of weights that another program wrote, or a version that write_bundle wrote.

    Args:
        path: see state_files.read_generator_state and bundles.read_bundle.
        version: its name; None for the name that it has, or to call it by the file's name and the beginning of the
            weights' SHA-256.

    Raises:
        CheckpointError: bad_version; as read_generator_state and read_bundle say.
        OSError: the file cannot be read.
    """
    if version is not None and not re.fullmatch(VERSION_PATTERN, version):
        message = f"{version!r} is no name of a version: up to 64 letters, digits, dots, dashes and underscores."
        raise CheckpointError("bad_version", message)
    if is_bundle(path):
        bundled = read_bundle(path)
        renamed = bundled.metadata.model_copy(update={"version": version or bundled.metadata.version})
        return replace(bundled, metadata=renamed)
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


def _serialize(state: GeneratorState) -> bytes:
    import safetensors.torch

    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in state.tensors.items()}
    content: bytes = safetensors.torch.save(tensors)
    return content


def _version_of(path: Path, sha256: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("._-") or "model"
    return f"{name[:48]}-{sha256[:8]}"
