"""Reading a generator's weights out of files that other programs wrote. Torch is loaded when a function is called."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.checkpoints.metadata import Architecture, ModelMetadata
from core.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

GENERATOR_PREFIX = "net_G."
SAFETENSORS_SUFFIX = ".safetensors"
NAMES_SHOWN = 5


@dataclass(frozen=True)
class GeneratorState:
    """A generator's weights as they were in a file.

    Args:
        tensors: by the names that the generator gives them, in the file's own precision.
        architecture: of the generator that they fit.
        left_out: the names of everything else in the file.
    """

    tensors: dict[str, "Tensor"]
    architecture: Architecture
    left_out: tuple[str, ...]


def read_generator_state(path: Path) -> GeneratorState:
    """The generator's weights in a file that holds a state dict: its own, or a whole model's with net_G. before them.

    Args:
        path: written by torch.save or as safetensors.

    Raises:
        CheckpointError: not_weights, wrong_architecture, not_finite.
        OSError: the file cannot be read.
    """
    is_safetensors = path.suffix == SAFETENSORS_SUFFIX
    content = _parse_safetensors(path.read_bytes(), path) if is_safetensors else _read_pickle(path)
    tensors = {
        name.removeprefix(GENERATOR_PREFIX): tensor
        for name, tensor in content.items()
        if name.startswith(GENERATOR_PREFIX)
    }
    left_out = tuple(name for name in content if not name.startswith(GENERATOR_PREFIX)) if tensors else ()
    tensors = tensors or content
    architecture = _architecture_of(tensors, path)
    _check_finite(tensors, path)
    return GeneratorState(tensors, architecture, left_out)


def check_weights(weights: bytes, metadata: ModelMetadata, path: Path) -> None:
    """Raise unless weights fit the generator that their metadata describes.

    Args:
        weights: the bytes of a safetensors file.
        metadata: of the same version.
        path: of the file that they came in, for messages.

    Raises:
        CheckpointError: not_weights, wrong_architecture, not_finite.
    """
    tensors = _parse_safetensors(weights, path)
    if _architecture_of(tensors, path).last_cross != metadata.last_cross:
        raise CheckpointError("wrong_architecture", f"The weights in {path} are not of the network that it describes.")
    _check_finite(tensors, path)


def _check_finite(tensors: Mapping[str, "Tensor"], path: Path) -> None:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CheckpointError("not_finite", f"{path} holds values that are no finite numbers, in {name}.")


def _parse_safetensors(content: bytes, path: Path) -> dict[str, "Tensor"]:
    import safetensors.torch
    from safetensors import SafetensorError

    try:
        return safetensors.torch.load(content)
    except SafetensorError as error:
        raise CheckpointError("not_weights", f"{path} is no safetensors file: {error}.") from error


def _read_pickle(path: Path) -> dict[str, "Tensor"]:
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch tells of foreign files by many kinds of exceptions, some of them bare
        message = f"{path} is no file of weights that torch reads without running code from it."
        raise CheckpointError("not_weights", message) from error
    named = isinstance(content, Mapping) and all(isinstance(name, str) for name in content)
    if not named or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise CheckpointError("not_weights", f"{path} holds no plain state dict, that is, tensors by name.")
    return dict(content)


def _architecture_of(tensors: Mapping[str, "Tensor"], path: Path) -> Architecture:
    """The one among ours that the weights fit, strictly."""
    differences = {last_cross: _differences(tensors, last_cross) for last_cross in (True, False)}
    last_cross = min(differences, key=lambda which: len(differences[which]))
    if found := differences[last_cross]:
        more = f", and {len(found) - NAMES_SHOWN} more" if len(found) > NAMES_SHOWN else ""
        message = f"{path} holds no generator of ours: {', '.join(found[:NAMES_SHOWN])}{more}."
        raise CheckpointError("wrong_architecture", message)
    return Architecture(
        builder="fastai DynamicUnet", body="resnet18", n_in=1, n_out=2, img_size=(256, 256), last_cross=last_cross
    )


def _differences(tensors: Mapping[str, "Tensor"], last_cross: bool) -> list[str]:
    """What keeps the weights from fitting a generator, in words: other shapes, missing names, strange names."""
    import torch

    from core.networks.unet import build_generator

    with torch.device("meta"):
        expected = build_generator(last_cross=last_cross).state_dict()
    missing = [f"{name} is missing" for name in expected if name not in tensors]
    other = [
        f"{name} is {tuple(tensors[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    return other + missing + [f"{name} is unexpected" for name in tensors if name not in expected]
