"""From a folder with weights to a network. Torch is loaded when a function is called."""

from pathlib import Path
from typing import TYPE_CHECKING

from core.checkpoints.metadata import METADATA_NAME, ModelMetadata, read_metadata, read_weights
from core.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor, nn


def load_generator(models_dir: Path) -> "nn.Module":
    """The generator that models_dir describes, in eval mode, float32, on the CPU, loaded strictly.

    Raises:
        CheckpointError: missing_weights, damaged_weights, bad_metadata, wrong_architecture.
    """
    return load_generators(models_dir, 1, "cpu")[0]


def load_generators(models_dir: Path, count: int, device: str) -> list["nn.Module"]:
    """So many generators on a device, as load_generator gives them; they share their parameters, channels last.

    Each has hooks of its own and so may serve a thread of its own.
    """
    import torch

    metadata = read_metadata(models_dir)
    state = {}
    for name, tensor in read_state(models_dir, metadata).items():
        laid_out = tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor
        state[name] = laid_out.to(device)
    return [assemble(metadata, state) for _ in range(count)]


def read_state(models_dir: Path, metadata: ModelMetadata) -> dict[str, "Tensor"]:
    """The weights by name, floats as float32, on the CPU.

    Raises:
        CheckpointError: missing_weights, damaged_weights.
    """
    import safetensors.torch
    from safetensors import SafetensorError

    data = read_weights(models_dir, metadata)
    try:
        return {name: _widen(tensor) for name, tensor in safetensors.torch.load(data).items()}
    except SafetensorError as error:
        raise CheckpointError("damaged_weights", f"{metadata.weights} is no safetensors file: {error}.") from error


def assemble(metadata: ModelMetadata, state: dict[str, "Tensor"]) -> "nn.Module":
    """A generator in eval mode that holds these very tensors.

    Raises:
        CheckpointError: wrong_architecture, when they do not fit.
    """
    import torch

    from core.networks.unet import build_generator

    built = metadata.architecture
    with torch.device("meta"):
        generator = build_generator(built.n_in, built.n_out, built.img_size, last_cross=built.last_cross)
    try:
        generator.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        message = f"{metadata.weights} does not fit the architecture in {METADATA_NAME}: {str(error)[:300]}"
        raise CheckpointError("wrong_architecture", message) from error
    return generator.eval().requires_grad_(False)


def _widen(tensor: "Tensor") -> "Tensor":
    return tensor.float() if tensor.is_floating_point() else tensor
