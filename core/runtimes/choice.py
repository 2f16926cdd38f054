"""Which runtime a machine gets."""

import ctypes
import logging
import sys
from pathlib import Path
from typing import Literal

from core.checkpoints import read_metadata
from core.errors import SetupError
from core.runtimes.protocol import Runtime

Device = Literal["auto", "cpu", "cuda"]
RuntimeKind = Literal["auto", "openvino", "torch"]

log = logging.getLogger(__name__)


def choose_runtime(models_dir: Path, cache_dir: Path, device: Device = "auto", kind: RuntimeKind = "auto") -> Runtime:
    """The runtime for the weights in models_dir: PyTorch on CUDA, else OpenVINO on the CPU, else PyTorch there.

    OpenVINO computes in eight-bit integers where the CPU can, unless "openvino" is asked for.

    Args:
        models_dir: holds model.json and the weights.
        cache_dir: where OpenVINO's converted model is kept, so that the next start needs no torch.
        device: "auto" takes CUDA where there is one.
        kind: "openvino" or "torch" to have that one, with the weights in floating point.

    Raises:
        CheckpointError: as checkpoints.load_generator says.
        SetupError: no_cuda, no_openvino, openvino_without_cuda.
    """
    if kind == "openvino" and device == "cuda":
        raise SetupError("openvino_without_cuda", "OpenVINO does not use CUDA; set GRAY2HUE_RUNTIME to torch or auto.")
    if device == "cuda" or (device == "auto" and kind != "openvino" and _has_cuda()):
        return _torch(models_dir, "cuda")
    if kind == "torch":
        return _torch(models_dir, "cpu")
    if not _has_openvino():
        if kind == "openvino":
            raise SetupError("no_openvino", "OpenVINO cannot be imported here; set GRAY2HUE_RUNTIME to torch or auto.")
        log.warning("OpenVINO cannot be imported; PyTorch takes its place and is slower")
        return _torch(models_dir, "cpu")
    return _openvino(models_dir, cache_dir, kind)


def _torch(models_dir: Path, device: str) -> Runtime:
    from core.runtimes.torch_runtime import TorchRuntime

    return TorchRuntime.load(models_dir, device)


def _openvino(models_dir: Path, cache_dir: Path, kind: RuntimeKind) -> Runtime:
    from core.runtimes.openvino_runtime import OpenVinoRuntime, fastest_form

    form = fastest_form() if kind == "auto" else "full"
    return OpenVinoRuntime.load(models_dir, read_metadata(models_dir), cache_dir, form=form)


def _has_openvino() -> bool:
    try:
        import openvino  # noqa: F401 - whether it loads here is the question
    except ImportError:
        return False
    return True


def _has_cuda() -> bool:
    """Whether CUDA works. Torch, which takes seconds to import, is asked only where the driver's library is found."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    import torch

    return torch.cuda.is_available()
