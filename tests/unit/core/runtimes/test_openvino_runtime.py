import json
import re
import resource
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from core.checkpoints import load_generator, read_metadata
from core.records import Photo
from core.runtimes import openvino_runtime
from core.runtimes.openvino_runtime import OpenVinoRuntime


@pytest.fixture(scope="module", params=["full", "int8"])
def form(request):
    return request.param


@pytest.fixture(scope="module")
def load(models_dir, cache_dir, form):
    """Loads the shipped model once more, with some streams."""
    return partial(OpenVinoRuntime.load, models_dir, read_metadata(models_dir), cache_dir, form=form)


@pytest.fixture(scope="module")
def runtime(load):
    loaded = load(streams=2)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def generator(models_dir):
    return load_generator(models_dir)


def mean_chroma(ab):
    return np.hypot(*np.moveaxis(ab, -1, 0)).mean()


def test_chroma_is_that_of_the_generator_in_torch(runtime, generator, pictures):
    for lightness in pictures:
        ab = runtime.predict(lightness)
        with torch.inference_mode():
            expected = generator(torch.from_numpy(lightness)[None, None] / 50 - 1)[0].permute(1, 2, 0).numpy() * 110
        assert ab.dtype == np.float32
        assert ab.shape == (*lightness.shape, 2)
        difference = np.abs(ab - expected)
        is_rounded = " int8 " in runtime.name
        if is_rounded:
            distance = np.hypot(*np.moveaxis(difference, -1, 0))
            assert distance.mean() < 1.2
            assert np.percentile(distance, 99) < 4
        elif " bf16 " in runtime.name:
            assert difference.mean() < 0.5
        else:
            assert difference.max() < 0.01
        assert mean_chroma(ab) == pytest.approx(mean_chroma(expected), rel=0.12 if is_rounded else 0.05)
        assert mean_chroma(ab) > 1


def test_a_picture_comes_out_the_same_whatever_else_is_computed(runtime, pictures):
    alone = [runtime.predict(lightness) for lightness in pictures]
    orders = [[0, 1, 2, 3] * 3, [3, 1, 0, 2] * 3, [2, 2, 1, 0] * 3, [1, 3, 3, 0] * 3]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda order: [runtime.predict(pictures[index]) for index in order], orders))
    for order, outcome in zip(orders, results, strict=True):
        assert all(np.array_equal(ab, alone[index]) for index, ab in zip(order, outcome, strict=True))


def test_the_number_of_streams_changes_no_bit(runtime, load, pictures):
    other = load(streams=1)
    assert (other.name, other.concurrency, runtime.concurrency) == (runtime.name, 1, 2)
    for lightness in pictures:
        assert np.array_equal(other.predict(lightness), runtime.predict(lightness))
    other.close()


def test_results_do_not_share_memory_with_the_next_ones(runtime, pictures):
    first = runtime.predict(pictures[0])
    kept = first.copy()
    for _ in range(4):
        runtime.predict(255 - pictures[0])
    assert np.array_equal(first, kept)


def test_large_pictures_take_turns_and_come_out_the_same(runtime, pictures, monkeypatch):
    expected = [runtime.predict(lightness) for lightness in pictures]
    monkeypatch.setattr(openvino_runtime, "LARGE_PX", pictures[0].size - 1)
    most, at_once, lock = [0], [0], threading.Lock()
    infer = openvino_runtime._infer

    def watched(request, batch):
        with lock:
            at_once[0] += 1
            if batch.size > openvino_runtime.LARGE_PX:
                most[0] = max(most[0], at_once[0])
        try:
            return infer(request, batch)
        finally:
            with lock:
                at_once[0] -= 1

    monkeypatch.setattr(openvino_runtime, "_infer", watched)
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda index: (index, runtime.predict(pictures[index])), [0, 1, 2, 3, 0, 1] * 3))
    assert all(np.array_equal(ab, expected[index]) for index, ab in results)
    assert most[0] == 1


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_the_memory_of_a_large_picture_is_given_back(runtime, lightness_of):
    small = lightness_of("astronaut", 64, 64)
    runtime.predict(small)
    before = resident_bytes()
    runtime.predict(lightness_of("astronaut", 768, 768))
    runtime.predict(small)
    assert resident_bytes() - before < 300 * 2**20


def test_a_start_with_a_converted_model_loads_no_torch(models_dir, cache_dir, runtime, form):
    code = (
        "import json, sys; from pathlib import Path; import numpy as np; from core.runtimes import choose_runtime;"
        "runtime = choose_runtime(Path(sys.argv[1]), Path(sys.argv[2]), 'cpu', sys.argv[3]);"
        "ab = runtime.predict(np.full((32, 64), 50, np.float32));"
        "print(json.dumps([runtime.name, ab.shape, ab.ravel()[:8].tolist(), sorted(sys.modules)]))"
    )
    kind = "openvino" if form == "full" else "auto"
    command = [sys.executable, "-c", code, str(models_dir), str(cache_dir), kind]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=models_dir.parent).stdout
    name, shape, first, modules = json.loads(output)
    assert {"torch", "fastai", "nncf"}.isdisjoint(modules)
    assert (name, shape) == (runtime.name, [32, 64, 2])
    assert first == runtime.predict(np.full((32, 64), 50, np.float32)).ravel()[:8].tolist()


def test_the_name_tells_software_version_device_precision_and_instruction_set(runtime, form):
    software, version, device, precision, instructions = runtime.name.split(" ", 4)
    assert (software, device) == ("openvino", "cpu")
    assert version[0].isdigit()
    assert precision in (("int8",) if form == "int8" else ("f32", "bf16"))
    assert re.fullmatch(r"\((?!unknown)\w[\w. -]*\)", instructions)
    assert len(runtime.name) <= Photo.runtime.type.length


@pytest.mark.parametrize(("sentence", "short"), [
    ("Intel SSE4.1", "SSE4.1"),
    ("Intel AVX2", "AVX2"),
    ("Intel AVX-512 with Intel DL Boost and bfloat16 support", "AVX-512 DL Boost bfloat16"),
    (
        "Intel AVX-512 with float16, Intel DL Boost and bfloat16 support and Intel AMX with bfloat16, float16 and "
        "8-bit integer support",
        "AVX-512 float16 DL Boost bfloat16 AMX bfloat16 float16 8-bit integer",
    ),
])  # fmt: skip
def test_a_sentence_of_instruction_sets_is_shortened_to_what_the_database_holds(sentence, short):
    assert openvino_runtime.shortened(sentence) == short
    longest = openvino_runtime.shortened(f"{sentence} " * 9)
    assert len(f"openvino 2026.10.10 cpu int8 ({longest})") <= Photo.runtime.type.length


FIRST_INFERENCES = """
import faulthandler, sys, threading
import numpy as np, openvino
from openvino import opset13 as ops
from core.runtimes.openvino_runtime import OpenVinoRuntime

faulthandler.dump_traceback_later(30, exit=True)
lightness = ops.parameter([1, 1, -1, -1], np.float32)
ab = ops.transpose(ops.concat([lightness, lightness], 1), np.array([0, 2, 3, 1]))
runtime = OpenVinoRuntime(openvino.Model([ab], [lightness]), streams=4)
sys.setswitchinterval(1e-9)
together = threading.Barrier(4)

def predict():
    together.wait()
    runtime.predict(np.zeros((32, 32), np.float32))

threads = [threading.Thread(target=predict) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def test_the_first_inferences_of_a_process_do_not_wait_for_each_other():
    # Without the runtime's own first inference, about three such processes in four hung.
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", FIRST_INFERENCES], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
