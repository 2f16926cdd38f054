import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from core.networks.unet import build_generator, fold_last_convolution


@pytest.mark.parametrize("last_cross", [False, True])
def test_generator_maps_one_channel_to_two_of_the_same_size(last_cross):
    generator = build_generator(1, 2, (64, 64), last_cross=last_cross)
    with torch.inference_mode():
        assert generator(torch.zeros(1, 1, 96, 64)).shape == (1, 2, 96, 64)


def test_generator_has_the_parameters_of_the_seeds_builder():
    from fastai.vision.learner import create_body
    from fastai.vision.models.unet import DynamicUnet

    body = create_body(resnet18(), n_in=1, pretrained=False, cut=-2)
    expected = DynamicUnet(body, 2, (64, 64), last_cross=True).state_dict()
    ours = build_generator(1, 2, (64, 64), last_cross=True).state_dict()
    assert {name: value.shape for name, value in ours.items()} == {n: v.shape for n, v in expected.items()}


def test_building_on_the_meta_device_allocates_and_initializes_nothing():
    state = torch.get_rng_state()
    with torch.device("meta"):
        generator = build_generator(1, 2, (256, 256), last_cross=False)
    assert all(parameter.is_meta for parameter in generator.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert isinstance(generator, nn.Module)
    assert not generator.training


@pytest.mark.parametrize("last_cross", [False, True])
@pytest.mark.parametrize("size", [(96, 64), (50, 37)])
def test_folding_the_last_convolution_changes_nothing_but_rounding(last_cross, size):
    torch.manual_seed(0)
    generator = build_generator(1, 2, (64, 64), last_cross=last_cross)
    picture = torch.rand(1, 1, *size) * 2 - 1
    with torch.inference_mode():
        expected = generator(picture)
        folded = fold_last_convolution(generator)
        assert torch.allclose(folded(picture), expected, atol=1e-5)
    assert isinstance(folded.layers[-2], nn.Identity) is not last_cross
