import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from core.checkpoints import load_generator, load_generators
from core.errors import SetupError
from core.runtimes.torch_runtime import TorchRuntime


@pytest.fixture(scope="module")
def generator(models_dir):
    return load_generator(models_dir)


@pytest.fixture(scope="module")
def runtime(models_dir):
    return TorchRuntime.load(models_dir, "cpu")


def reference(generator, lightness):
    with torch.inference_mode():
        ab = generator(torch.from_numpy(lightness)[None, None] / 50 - 1)[0]
    return ab.permute(1, 2, 0).numpy() * 110


class Exhausting(nn.Module):
    """A generator that gives L/50-1 for a and b, and finds memory for so many pictures at once, of so many pixels."""

    def __init__(self, in_flight, most_at_once, most_px=10**9):
        super().__init__()
        self.in_flight = in_flight
        self.most_at_once = most_at_once
        self.most_px = most_px

    def forward(self, scaled):
        self.in_flight.enter()
        try:
            if self.in_flight.count > self.most_at_once or scaled.numel() > self.most_px:
                raise torch.OutOfMemoryError("out of memory")
            return torch.cat([scaled, scaled], dim=1)
        finally:
            self.in_flight.leave()


class InFlight:
    """Counts; the first two that enter wait for each other."""

    def __init__(self):
        self.count = 0
        self._entered = 0
        self._lock = threading.Lock()
        self._pair = threading.Barrier(2, timeout=30)

    def enter(self):
        with self._lock:
            self.count += 1
            self._entered += 1
            wait = self._entered <= 2
        if wait:
            self._pair.wait()

    def leave(self):
        with self._lock:
            self.count -= 1


def test_chroma_is_the_generators(runtime, generator, pictures):
    for lightness in pictures:
        ab = runtime.predict(lightness)
        assert (ab.dtype, ab.shape) == (np.float32, (*lightness.shape, 2))
        difference = np.abs(ab - reference(generator, lightness))
        assert difference.max() < 0.01 or (" bf16 " in runtime.name and difference.mean() < 0.5)


def test_several_lanes_share_their_parameters_and_give_the_same_bits(models_dir, pictures):
    generators = load_generators(models_dir, 2, "cpu")
    first, second = (dict(generator.named_parameters()) for generator in generators)
    assert all(first[name].data_ptr() == second[name].data_ptr() for name in first)
    runtime = TorchRuntime(generators, "cpu", half=False)
    alone = [runtime.predict(lightness) for lightness in pictures]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda index: (index, runtime.predict(pictures[index])), [0, 1, 2, 3, 3, 1, 0, 2] * 2))
    assert runtime.concurrency == 2
    assert all(np.array_equal(ab, alone[index]) for index, ab in results)


def test_pictures_that_do_not_fit_side_by_side_come_out_one_after_the_other(pictures):
    in_flight = InFlight()
    runtime = TorchRuntime([Exhausting(in_flight, most_at_once=1) for _ in range(2)], "cpu", half=False)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(runtime.predict, pictures))
    for lightness, ab in zip(pictures, results, strict=True):
        assert np.allclose(ab, np.dstack([lightness / 50 - 1] * 2) * 110, atol=1e-4)


def test_a_picture_that_does_not_fit_alone_is_a_memory_error_and_the_next_comes_out(lightness_of):
    in_flight = InFlight()
    runtime = TorchRuntime([Exhausting(in_flight, 2, most_px=64 * 64) for _ in range(2)], "cpu", half=False)
    small, large = lightness_of("coffee", 64, 64), lightness_of("coffee", 96, 64)
    with ThreadPoolExecutor(2) as pool:
        outcomes = [pool.submit(runtime.predict, lightness) for lightness in (large, small, large)]
        assert isinstance(outcomes[0].exception(), MemoryError)
        assert outcomes[1].result().shape == (64, 64, 2)
        assert isinstance(outcomes[2].exception(), MemoryError)
    assert runtime.predict(small).shape == (64, 64, 2)


def test_the_name_tells_software_version_device_and_precision(runtime):
    assert runtime.name.startswith(f"torch {torch.__version__} cpu ")
    assert runtime.concurrency == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_is_refused_where_there_is_none(models_dir):
    with pytest.raises(SetupError) as caught:
        TorchRuntime.load(models_dir, "cuda")
    assert caught.value.code == "no_cuda"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_colors_of_the_cpu_and_the_same_bits_in_any_company(models_dir, generator, pictures):
    runtime = TorchRuntime.load(models_dir, "cuda")
    alone = [runtime.predict(lightness) for lightness in pictures]
    for lightness, ab in zip(pictures, alone, strict=True):
        assert np.abs(ab - reference(generator, lightness)).mean() < 0.5
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda index: (index, runtime.predict(pictures[index])), [0, 1, 2, 3] * 8))
    assert all(np.array_equal(ab, alone[index]) for index, ab in results)
    runtime.close()
