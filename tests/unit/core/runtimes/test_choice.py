import logging
import sys

import openvino
import pytest
import torch

from core.errors import CheckpointError, SetupError
from core.runtimes import choose_runtime

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")


@pytest.fixture
def no_openvino(monkeypatch):
    """OpenVINO as on a machine where it is not installed."""
    monkeypatch.setitem(sys.modules, "openvino", None)


def software(runtime):
    name = runtime.name.split(" ")[0]
    runtime.close()
    return name


def code_of(*arguments):
    with pytest.raises((CheckpointError, SetupError)) as caught:
        choose_runtime(*arguments)
    return caught.value.code


@without_cuda
def test_a_machine_without_cuda_gets_openvino_in_eight_bits_where_its_cpu_can(models_dir, cache_dir):
    runtime = choose_runtime(models_dir, cache_dir)
    eight_bits = "INT8" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert (" int8 " in runtime.name) == eight_bits
    assert software(runtime) == "openvino"


def test_either_runtime_can_be_asked_for(models_dir, cache_dir):
    floating = choose_runtime(models_dir, cache_dir, "cpu", "openvino")
    assert "int8" not in floating.name
    assert software(floating) == "openvino"
    assert software(choose_runtime(models_dir, cache_dir, "cpu", "torch")) == "torch"


def test_where_openvino_is_missing_torch_takes_its_place_and_it_is_told(models_dir, cache_dir, no_openvino, caplog):
    with caplog.at_level(logging.WARNING):
        assert software(choose_runtime(models_dir, cache_dir, "cpu")) == "torch"
    assert "OpenVINO" in caplog.text


def test_openvino_that_is_asked_for_and_missing_is_told(models_dir, cache_dir, no_openvino):
    assert code_of(models_dir, cache_dir, "cpu", "openvino") == "no_openvino"


def test_openvino_on_cuda_is_refused(models_dir, cache_dir):
    assert code_of(models_dir, cache_dir, "cuda", "openvino") == "openvino_without_cuda"


@without_cuda
def test_cuda_that_is_asked_for_and_missing_is_told(models_dir, cache_dir):
    assert code_of(models_dir, cache_dir, "cuda") == "no_cuda"


@pytest.mark.parametrize("kind", ["openvino", "torch"])
def test_a_folder_without_a_model_is_told(tmp_path, kind):
    assert code_of(tmp_path, tmp_path / "cache", "cpu", kind) == "missing_weights"
