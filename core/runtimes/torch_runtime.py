"""The network in PyTorch: on CUDA, or on the CPU where OpenVINO is not."""

import platform
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import torch
from torch import nn

from core.checkpoints import load_generators
from core.errors import SetupError
from core.imaging.arrays import Floats
from core.networks.unet import fold_last_convolution
from core.runtimes.chroma import ChromaOfLightness
from core.runtimes.slots import Slots

CUDA_LANES = 4
"""Pictures in flight on a GPU, to overlap their transfers and launches. Each is a batch of its own in the network,
so that its result depends neither on its neighbors nor on how many there are."""

RECORDINGS = 16
"""Picture sizes whose launches a lane keeps recorded. An archive has a few; a size that comes back is recorded anew."""

_RECORDING = threading.Lock()


class Lane:
    """One copy of the network, since DynamicUnet keeps activations in its hooks, on the CPU."""

    stream: torch.cuda.Stream | None = None

    def __init__(self, generator: nn.Module) -> None:
        self._network = ChromaOfLightness(generator).eval()

    def chroma(self, picture: torch.Tensor) -> torch.Tensor:
        """Chroma, float32 (1, h, w, 2), of lightness, float32 (1, 1, h, w), on the CPU."""
        ab: torch.Tensor = self._network(picture.contiguous(memory_format=torch.channels_last))
        return ab


class CudaLane(Lane):
    """A lane on CUDA, with a stream of its own.

    The network's hundreds of launches are recorded as a CUDA graph the first time that a size is seen. To launch them
    one by one takes the interpreter longer than they take the GPU, and keeps it from everything else.
    """

    def __init__(self, generator: nn.Module) -> None:
        super().__init__(generator)
        self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's own
        self._recordings: OrderedDict[torch.Size, _Recording] = OrderedDict()

    def chroma(self, picture: torch.Tensor) -> torch.Tensor:
        """See Lane.chroma. The result is on the GPU, and good until the next call."""
        recording = self._recordings.pop(picture.shape, None) or self._record(picture.shape)
        self._recordings[picture.shape] = recording
        if len(self._recordings) > RECORDINGS:
            self._recordings.popitem(last=False)
        recording.lightness.copy_(picture)
        recording.graph.replay()
        return recording.ab

    def _record(self, size: torch.Size) -> "_Recording":
        lightness = torch.zeros(size, device="cuda").contiguous(memory_format=torch.channels_last)
        # Once without being recorded: kernels are loaded and chosen then, which a recording does not allow.
        self._network(lightness)
        graph = torch.cuda.CUDAGraph()
        # What other lanes' threads do meanwhile is no part of it; two recordings at once are not allowed.
        with _RECORDING, torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            ab = self._network(lightness)
        return _Recording(graph, lightness, ab)


@dataclass(frozen=True, eq=False)
class _Recording:
    """A graph, and where it takes lightness from and puts chroma."""

    graph: torch.cuda.CUDAGraph
    lightness: torch.Tensor
    ab: torch.Tensor


class TorchRuntime:
    """A Runtime on PyTorch.

    Args:
        generators: copies of the same network that may share their parameters, on the device; one picture is in flight
            in each.
        device: "cpu" or "cuda".
        half: whether convolutions are computed in bfloat16.
    """

    def __init__(self, generators: Sequence[nn.Module], device: str, *, half: bool) -> None:
        self.name = f"torch {torch.__version__} {device} {'bf16' if half else 'f32'} ({_hardware(device)})"
        self.concurrency = len(generators)
        self._device = device
        self._half = half
        self._lanes: SimpleQueue[Lane] = SimpleQueue()
        for generator in generators:
            self._lanes.put(CudaLane(generator) if device == "cuda" else Lane(generator))
        free = torch.cuda.empty_cache if device == "cuda" else _nothing
        self._slots = Slots(len(generators), torch.OutOfMemoryError, free)

    @classmethod
    def load(cls, models_dir: Path, device: str) -> "TorchRuntime":
        """The runtime for the weights in models_dir on a device, "cpu" or "cuda".

        Raises:
            CheckpointError: as checkpoints.load_generator says.
            SetupError: no_cuda.
        """
        if device == "cpu":
            return cls(_generators(models_dir, 1, device), device, half=computes_bfloat16(device))
        if not torch.cuda.is_available():
            raise SetupError("no_cuda", "No CUDA device is usable here; set GRAY2HUE_DEVICE to cpu or auto.")
        # Which algorithm cuDNN takes must depend on nothing but the picture's size.
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        runtime = cls(_generators(models_dir, CUDA_LANES, device), device, half=computes_bfloat16(device))
        torch.cuda.synchronize()
        return runtime

    def predict(self, lightness: Floats) -> Floats:
        """See Runtime.predict."""
        return self._slots.run(lambda: self._predict_once(lightness))

    def _predict_once(self, lightness: Floats) -> Floats:
        lane = self._lanes.get()
        try:
            return self._forward(lane, lightness)
        finally:
            self._lanes.put(lane)

    def _forward(self, lane: Lane, lightness: Floats) -> Floats:
        with ExitStack() as modes:
            modes.enter_context(torch.inference_mode())
            modes.enter_context(torch.cuda.stream(lane.stream))
            modes.enter_context(torch.autocast(self._device, torch.bfloat16, enabled=self._half))
            picture = torch.from_numpy(np.ascontiguousarray(lightness))[None, None]
            return np.ascontiguousarray(lane.chroma(picture)[0].cpu().numpy())

    def close(self) -> None:
        """See Runtime.close."""
        while not self._lanes.empty():
            self._lanes.get()
        if self._device == "cuda":
            torch.cuda.empty_cache()


def _generators(models_dir: Path, count: int, device: str) -> list[nn.Module]:
    generators = load_generators(models_dir, count, device)
    return [fold_last_convolution(generator).to(memory_format=torch.channels_last) for generator in generators]


def computes_bfloat16(device: str) -> bool:
    """Whether bfloat16 is computed by the device itself; where it is not, it would be slower than float32."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _hardware(device: str) -> str:
    """What decides, on a device of this kind, in which order numbers are added."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def _nothing() -> None:
    """On the CPU there is no cache to empty."""
