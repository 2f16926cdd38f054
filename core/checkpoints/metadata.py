"""What model.json says, and the bytes that it describes."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import CheckpointError

METADATA_NAME = "model.json"
CARD_NAME = "README.md"
VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class Architecture(BaseModel):
    """How the network is built, enough to rebuild it before the weights are loaded strictly.

    Only what core.networks can build is a valid value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    builder: Literal["fastai DynamicUnet"]
    body: Literal["resnet18"]
    n_in: Literal[1]
    n_out: Literal[2]
    img_size: tuple[int, int]
    last_cross: bool


class ModelMetadata(BaseModel):
    """What models/model.json says.

    Args:
        name: of the network.
        version: by which jobs name these weights, e.g. "v0".
        weights: file name of the weights, beside the metadata.
        sha256: of the file of the weights, in lowercase hexadecimal.
        architecture: how the network is built.
        input: what the network is given.
        output: what it gives.
        train_size: edge in pixels of the last pictures it was trained on.
        network_edge_px: short side in pixels of what the network is best given to see.
        parent: the version that training began from, if it is known.
        metrics: what it was measured to have, by the names of core.training.metrics.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(min_length=1, max_length=100)
    version: str = Field(pattern=VERSION_PATTERN)
    weights: str = Field(default="model.safetensors", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    architecture: Architecture
    input: Literal["L/50-1"]
    output: Literal["ab/110"]
    train_size: int = Field(ge=1)
    network_edge_px: int = Field(default=256, ge=64, le=512)
    parent: str | None = Field(default=None, max_length=100)
    metrics: dict[str, Any] = Field(default_factory=dict)

    @property
    def last_cross(self) -> bool:
        """Whether the input is joined to the last block at full size."""
        return self.architecture.last_cross


def read_metadata(models_dir: Path) -> ModelMetadata:
    """Read models/model.json.

    Raises:
        CheckpointError: missing_weights (no such file), wrong_architecture (a network we cannot build), bad_metadata.
    """
    path = models_dir / METADATA_NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError("missing_weights", f"There is no {path}.") from error
    except OSError as error:
        raise CheckpointError("bad_metadata", f"{path} cannot be read: {error}.") from error
    return parse_metadata(content, str(path))


def parse_metadata(content: bytes, place: str) -> ModelMetadata:
    """What a model.json says.

    Args:
        content: of the file.
        place: where it was, for messages.

    Raises:
        CheckpointError: wrong_architecture (a network we cannot build), bad_metadata.
    """
    try:
        return ModelMetadata.model_validate(json.loads(content))
    except ValidationError as error:
        places = [".".join(map(str, problem["loc"])) for problem in error.errors()]
        foreign = all(name.split(".")[0] in ("architecture", "input", "output") for name in places)
        code = "wrong_architecture" if foreign else "bad_metadata"
        raise CheckpointError(code, f"{place} is not as expected at: {', '.join(places)}.") from error
    except ValueError as error:
        raise CheckpointError("bad_metadata", f"{place} cannot be read: {error}.") from error


def read_weights(models_dir: Path, metadata: ModelMetadata) -> bytes:
    """The bytes of the weights, whose sha256 is as the metadata says.

    Raises:
        CheckpointError: missing_weights, damaged_weights.
    """
    path = models_dir / metadata.weights
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError("missing_weights", f"The weights {path} cannot be read: {error}.") from error
    if hashlib.sha256(data).hexdigest() != metadata.sha256:
        raise CheckpointError("damaged_weights", f"The sha256 of {path} is not the one in {METADATA_NAME}.")
    return data
