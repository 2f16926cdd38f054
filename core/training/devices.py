"""The device that a run computes on: which one, in which precision, how much it is used."""

import ctypes
import importlib.util
import resource
import sys
import time
from pathlib import Path

import torch

from core.errors import SetupError
from core.machine import usable_cores
from core.runtimes.torch_runtime import computes_bfloat16
from core.training.config import Device, Precision

MALLOPT = {
    -1: 2**31 - 1,  # M_TRIM_THRESHOLD: nothing goes back to the kernel
    -2: 1 << 28,  # M_TOP_PAD, bytes: the heap grows in large steps
    -3: 1 << 25,  # M_MMAP_THRESHOLD, bytes: the highest that glibc takes; it refuses higher ones
}
"""Settings of glibc's malloc by their numbers in malloc.h."""

MOST_LOADERS = 16
"""Processes that prepare batches for a GPU; so many kept an H100 busy, and each takes shared memory."""

CPU_MEMORY_TEXTS = ("DefaultCPUAllocator", "could not create a primitive", "could not create a memory", "bad_alloc")
"""What torch's allocator, oneDNN and the C++ library say when memory runs out."""


def choose_device(device: Device) -> str:
    """ "cpu" or "cuda"; SetupError (`no_cuda`) where CUDA is asked for and there is none."""
    if device == "cuda" and not torch.cuda.is_available():
        raise SetupError("no_cuda", "No CUDA device is usable here; train with device=cpu or auto.")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def loaders(device: str) -> int:
    """How many threads, or processes for a GPU, prepare batches; on a CPU half of the cores: training needs them."""
    return min(MOST_LOADERS, usable_cores()) if device == "cuda" else max(1, usable_cores() // 2)


def computes_half(precision: Precision, device: str) -> bool:
    """Whether convolutions are computed in bfloat16."""
    return precision == "bf16" or (precision == "auto" and computes_bfloat16(device))


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed for what is allocated next, in this process, from now on.

    Otherwise the large arrays of every step are fetched from the kernel, and cleared, anew; see docs/training.md for
    what that costs.

    Returns:
        Whether the C library knows these settings; others than glibc do not, and nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and all(mallopt(setting, value) for setting, value in MALLOPT.items())


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a computation failed for want of the device's memory; on the CPU it is told by the message alone."""
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in CPU_MEMORY_TEXTS)


class UseMeter:
    """Measures how much of the device is used between two looks.

    Args:
        device: "cpu" or "cuda".
        threads: that compute on the CPU.
    """

    def __init__(self, device: str, threads: int) -> None:
        self._is_cuda = device == "cuda"
        self._threads = threads
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()

    def look(self) -> dict[str, float]:
        """`memory_bytes` in use, and `device_use` 0..1 since the last look where it can be told."""
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        busy = (cpu_s - self._cpu_s) / max(1e-9, wall_s - self._wall_s) / self._threads
        self._wall_s, self._cpu_s = wall_s, cpu_s
        if not self._is_cuda:
            return {"memory_bytes": float(_resident_bytes()), "device_use": min(1.0, busy)}
        measured = {"memory_bytes": float(torch.cuda.max_memory_allocated())}
        # torch asks the driver through this package, where it is installed.
        if importlib.util.find_spec("pynvml") is not None:
            measured["device_use"] = torch.cuda.utilization() / 100
        return measured


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:  # no Linux; the most that it ever was is the next best
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
