import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.checkpoints import Architecture
from core.settings import SOURCE_ROOT
from core.training.learner import Average, Learner
from watching import small_config

TESTS = Path(__file__).parents[3]
ARCHITECTURE = Architecture(
    builder="fastai DynamicUnet", body="resnet18", n_in=1, n_out=2, img_size=(64, 64), last_cross=False
)
FIRST = "layers.0.0.weight"
STATISTIC = "layers.0.1.running_var"
COUNTER = "layers.0.1.num_batches_tracked"


@pytest.fixture(autouse=True)
def one_thread():
    """Networks as small as these gain nothing from more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def learner_of(**changes):
    learner = Learner(small_config(**changes), ARCHITECTURE, None, "cpu", half=False)
    learner.begin(small_config().stages[1])
    return learner


def batch_of(count=2, size=32):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 1, size, size, generator=generator), torch.rand(count, 2, size, size, generator=generator)


def test_the_average_follows_weights_and_statistics_alike():
    learner = learner_of()
    average = Average(learner.generator, ARCHITECTURE, decay=0.5)
    before = {name: value.clone() for name, value in learner.generator.state_dict().items()}
    for _ in range(2):
        learner.update("l1", 1e-3, *batch_of())
    after, followed = learner.generator.state_dict(), average.generator.state_dict()
    assert torch.equal(followed[FIRST], before[FIRST])
    average.updates = 100
    average.update(learner.generator)
    for name in (FIRST, STATISTIC):
        assert not torch.equal(before[name], after[name])
        assert torch.allclose(followed[name], (before[name] + after[name]) / 2, atol=1e-6)
    assert followed[COUNTER] == after[COUNTER] == 2
    assert not average.generator.training


def test_without_decay_the_average_is_the_last_weights():
    learner = learner_of(ema_decay=0.0)
    learner.update("l1", 1e-3, *batch_of())
    followed = learner.average.generator.state_dict()
    assert all(torch.equal(followed[name], value) for name, value in learner.generator.state_dict().items())


def test_both_sides_learn_from_an_adversarial_step_and_only_the_critic_while_it_warms_up():
    learner = learner_of()

    def snapshot():
        return learner.generator.state_dict()[FIRST].clone(), learner.critic.blocks[1][0].weight.detach().clone()

    learner.critic.eval()
    start = snapshot()
    found = learner.update("adversarial", 1e-3, *batch_of(), critic_only=True)
    warmed = snapshot()
    assert set(found) == {"gan_d", "real", "fake"}
    assert torch.equal(start[0], warmed[0])
    assert not torch.equal(start[1], warmed[1])
    found = learner.update("adversarial", 1e-3, *batch_of())
    assert found["loss"].item() == pytest.approx(found["gan_g"].item() + 100 * found["l1"].item(), rel=1e-5)
    learned = snapshot()
    assert not torch.equal(warmed[0], learned[0])
    assert not torch.equal(warmed[1], learned[1])


def test_a_batch_in_parts_gives_the_gradients_of_all_its_pictures():
    learner = learner_of()
    # Statistics over the batch would differ between the parts.
    learner.generator.eval()
    gradients = []
    for part_size in (4, 3, 1):
        learner.part_size = part_size
        learner.update("l1", 0.0, *batch_of(4, 64))
        gradients.append(next(learner.generator.parameters()).grad.clone())
    largest = gradients[0].abs().max().item()
    for gradient in gradients[1:]:
        assert torch.allclose(gradients[0], gradient, atol=2e-3 * largest)


LITTLE_MEMORY = """
import resource
import torch
from test_learner import batch_of, learner_of
from core.training.watching import TrainingError

def limit(room_mb):
    size_bytes = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size_bytes + room_mb * 2**20, resource.RLIM_INFINITY))

torch.set_num_threads(1)
learner = learner_of()
learner.update("l1", 1e-3, *batch_of(2))
batch = batch_of(16, 128)
learner.part_size = 16
limit(280)
print(bool(learner.update("l1", 1e-3, *batch)["loss"].isfinite()), learner.part_size)
limit(4)
try:
    learner.update("l1", 1e-3, *batch_of(32, 256))
except TrainingError as error:
    print(error.code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_with_too_little_memory_the_batch_is_taken_in_parts_and_with_even_less_not_at_all():
    environment = {"PYTHONPATH": f"{Path(__file__).parent}:{TESTS}:{SOURCE_ROOT}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LITTLE_MEMORY]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    finite, part_size, code = done.stdout.split()
    assert finite == "True"
    assert 1 <= int(part_size) < 16
    assert code == "out_of_memory"
