import pytest
import torch
from torch import nn

from core.networks.patchgan import PatchGan


def judged(spectral, size=64):
    torch.manual_seed(0)
    critic = PatchGan(spectral=spectral)
    lightness, ab = torch.rand(2, 1, size, size), torch.rand(2, 2, size, size)
    return critic, lightness, ab


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize(("size", "patches"), [(32, 2), (64, 6), (128, 14)])
def test_every_patch_gets_a_logit(spectral, size, patches):
    critic, lightness, ab = judged(spectral, size)
    logits, features = critic(lightness, ab)
    assert logits.shape == (2, 1, patches, patches)
    assert [feature.shape[1] for feature in features] == [64, 128, 256, 512]


def test_a_logit_sees_70_by_70_pixels():
    critic, _, _ = judged(spectral=True)
    ab = torch.rand(1, 2, 256, 256, requires_grad=True)
    critic(torch.rand(1, 1, 256, 256), ab)[0][0, 0, 15, 15].backward()
    rows, columns = torch.nonzero(ab.grad[0].abs().sum(0), as_tuple=True)
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (70, 70)


def test_lightness_and_color_both_count():
    critic, lightness, ab = judged(spectral=True)
    critic.eval()
    logits, _ = critic(lightness, ab)
    assert not torch.allclose(logits, critic(1 - lightness, ab)[0])
    assert not torch.allclose(logits, critic(lightness, -ab)[0])


def test_spectral_norm_bounds_every_convolution():
    critic, lightness, ab = judged(spectral=True)
    for _ in range(30):
        critic(lightness, ab)
    critic.eval()
    for convolution in (module for module in critic.modules() if isinstance(module, nn.Conv2d)):
        largest = torch.linalg.svdvals(convolution.weight.detach().flatten(1))[0]
        assert largest == pytest.approx(1, abs=0.05)


def test_without_it_all_but_the_first_and_last_are_normalized_over_the_batch():
    critic, _, _ = judged(spectral=False)
    kinds = [[type(layer) for layer in block] for block in critic.blocks]
    assert kinds[0] == [nn.Conv2d, nn.LeakyReLU]
    assert kinds[1:] == [[nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU]] * 3
    assert isinstance(critic.last, nn.Conv2d)
