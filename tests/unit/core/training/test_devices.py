import platform
import subprocess
import sys

import pytest
import torch

from core.errors import SetupError
from core.settings import SOURCE_ROOT
from core.training.devices import UseMeter, choose_device, computes_half, is_out_of_memory

FAULTS = """
import resource, sys
import numpy as np
from core.training.devices import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def work():
    for _ in range(5):
        held = [np.ones(2**21) for _ in range(8)]
        del held

work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode):
    command = [sys.executable, "-c", FAULTS, mode]
    environment = {"PYTHONPATH": str(SOURCE_ROOT)}
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="these are glibc's settings")
def test_freed_memory_is_not_fetched_from_the_kernel_again():
    fetched_anew = faults("leave")
    assert fetched_anew > 100  # with the largest pages there are
    assert faults("keep") < fetched_anew / 4


def test_the_processor_is_always_there_and_a_gpu_only_where_it_is():
    assert choose_device("cpu") == "cpu"
    if torch.cuda.is_available():
        assert choose_device("auto") == choose_device("cuda") == "cuda"
    else:
        assert choose_device("auto") == "cpu"
        with pytest.raises(SetupError):
            choose_device("cuda")


def test_precision_is_as_wished():
    assert computes_half("bf16", "cpu")
    assert not computes_half("fp32", "cpu")


def test_running_out_of_memory_is_known_from_other_errors():
    with pytest.raises(RuntimeError) as exhausted:
        torch.empty(2**50)
    assert is_out_of_memory(exhausted.value)
    with pytest.raises(RuntimeError) as other:
        torch.ones(2) @ torch.ones(3)
    assert not is_out_of_memory(other.value)


def test_use_is_measured_between_looks():
    meter = UseMeter("cpu", 1)
    sum(range(10**6))
    found = meter.look()
    assert 0 < found["device_use"] <= 1
    assert found["memory_bytes"] > 2**20
