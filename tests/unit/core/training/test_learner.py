import pytest
import torch

from core.checkpoints import Architecture
from core.training.learner import Average, Learner
from core.training.watching import TrainingError
from watching import small_config

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


def hold_at_most(learner, pictures):
    """Have the network run out of memory as torch tells it, with more pictures at once."""

    def enter(_network, arguments):
        if len(arguments[0]) > pictures:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    learner.generator.register_forward_pre_hook(enter)


def test_with_too_little_memory_the_batch_is_taken_in_parts():
    learner = learner_of()
    learner.part_size = 16
    hold_at_most(learner, 5)
    assert learner.update("l1", 1e-3, *batch_of(16))["loss"].isfinite()
    assert learner.part_size == 4


def test_with_too_little_memory_for_the_smallest_part_it_is_told():
    learner = learner_of()
    hold_at_most(learner, 0)
    with pytest.raises(TrainingError) as caught:
        learner.update("l1", 1e-3, *batch_of(4))
    assert caught.value.code == "out_of_memory"
