import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

from core.imaging.lab import lab_from_rgb
from core.training import losses


@pytest.fixture
def colors():
    torch.manual_seed(0)
    return torch.rand(2, 2, 8, 8) - 0.5, torch.rand(2, 2, 8, 8) - 0.5


def test_l1_without_weights_is_the_mean_absolute_error(colors):
    assert losses.l1(*colors, 0) == pytest.approx(F.l1_loss(*colors).item())


def test_l1_counts_strong_colors_more_up_to_a_cap():
    real = torch.zeros(1, 2, 1, 3)
    real[0, 0, 0] = torch.tensor([0.0, 0.5, 2.0])
    errors = torch.full_like(real, 0.1)
    expected = 0.1 * np.mean([1, 1 + 4 * 0.5, 1 + 4 * 0.8])
    assert losses.l1(real + errors, real, 4.0) == pytest.approx(expected, rel=1e-5)


def test_gan_losses_are_the_cross_entropy_on_logits():
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    ones, zeros = torch.ones(2), torch.zeros(2)
    entropy = F.binary_cross_entropy_with_logits
    assert losses.gan_generator(fake) == pytest.approx(entropy(fake, ones).item())
    expected = (entropy(real, ones) + entropy(fake, zeros)) / 2
    assert losses.gan_discriminator(real, fake) == pytest.approx(expected.item())


def test_feature_matching_moves_only_the_generators_features():
    real, fake = torch.ones(1, 4, 2, 2, requires_grad=True), torch.zeros(1, 4, 2, 2, requires_grad=True)
    distance = losses.feature_matching([real, real], [fake, real])
    distance.backward()
    assert distance.item() == pytest.approx(0.5)
    assert fake.grad.abs().sum() > 0
    assert real.grad.abs().sum() == 0


def test_every_color_of_srgb_has_a_bin():
    classifier = losses.ColorClassifier(4)
    rgb = np.random.default_rng(0).integers(0, 256, (1, 5000, 3), np.uint8)
    ab = torch.from_numpy(lab_from_rgb(rgb)[..., 1:].copy()).permute(2, 0, 1)[None] / 110
    assert (classifier.bins_of(ab) >= 0).all()
    count = len(classifier.weights)
    assert 200 < count < 300
    assert classifier.bins_of(torch.full((1, 2, 1, 1), 0.99)).item() == -1


def test_rare_colors_weigh_more_and_the_mean_weight_is_one():
    counts = np.array([90, 9, 1, 0], np.float32)
    weights = losses.bin_weights(counts).numpy()
    assert list(weights) == sorted(weights)
    assert (weights * counts / counts.sum()).sum() == pytest.approx(1)
    # Zhang et al., equation 4: a color that is never seen weighs (1 + p Q) times as much as one seen with share p.
    assert weights[3] / weights[0] == pytest.approx(1 + 0.9 * 4, rel=1e-5)


def test_the_head_names_the_bins_of_the_truth_at_a_quarter_of_the_size():
    torch.manual_seed(0)
    classifier = losses.ColorClassifier(4)
    real = torch.full((1, 2, 16, 16), 0.3)
    classifier.balance(real)
    with torch.no_grad():
        classifier.head.weight.zero_()
        classifier.head.bias.zero_()
        features = torch.ones(1, 4, 8, 8)
        unknowing = classifier(features, real)
        classifier.head.bias[classifier.bins_of(real)[0, 0, 0]] = 20
        knowing = classifier(features, real)
    assert unknowing == pytest.approx(np.log(len(classifier.weights)), rel=1e-4)
    assert knowing < 1e-3
