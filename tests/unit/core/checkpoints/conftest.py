"""Weights as the seed's programs write them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from core.networks import unet  # noqa: F401 - imported before fastai, whose warnings of its own it knows


def build_res_unet(n_input=1, n_output=2, size=256):
    """As in the seed's tutorial: moein-shariatnia, Deep-Learning, "Image Colorization"."""
    from fastai.vision.learner import create_body
    from fastai.vision.models.unet import DynamicUnet

    body = create_body(resnet18(), n_in=n_input, pretrained=False, cut=-2)
    return DynamicUnet(body, n_output, (size, size))


class MainModel(nn.Module):
    """What the tutorial trains, as far as its state dict goes: generator, discriminator, criterion."""

    def __init__(self, generator):
        super().__init__()
        self.net_G = generator
        self.net_D = nn.Sequential(nn.Conv2d(3, 64, 4, 2, 1), nn.BatchNorm2d(64))
        self.GANcriterion = nn.Module()
        self.GANcriterion.register_buffer("real_label", torch.tensor(1.0))
        self.GANcriterion.register_buffer("fake_label", torch.tensor(0.0))


@pytest.fixture(scope="session")
def seed_generator():
    """A generator of the seed's with random weights and batch norm statistics of its own, in eval mode."""
    torch.manual_seed(7)
    generator = build_res_unet()
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.num_batches_tracked.fill_(1234)
    return generator.eval()


@pytest.fixture(scope="session")
def seed_files(seed_generator, tmp_path_factory) -> dict[str, Path]:
    """The two files that the seed's programs leave."""
    folder = tmp_path_factory.mktemp("seed")
    files = {"plain": folder / "res18-unet.pt", "whole": folder / "final_model_weights.pt"}
    torch.save(seed_generator.state_dict(), files["plain"])
    torch.save(MainModel(seed_generator).state_dict(), files["whole"])
    return files


@pytest.fixture(scope="session")
def seed_colors(seed_generator):
    """The tutorial's way from a color picture to ab: squashed to 256 x 256, L by scikit-image, L/50-1, ab*110."""
    from PIL import Image
    from skimage.color import rgb2lab

    def colors(rgb):
        small = np.array(Image.fromarray(rgb).resize((256, 256), Image.Resampling.BICUBIC))
        lightness = rgb2lab(small).astype("float32")[..., :1].transpose(2, 0, 1)
        with torch.no_grad():
            ab = seed_generator(torch.from_numpy(lightness)[None] / 50.0 - 1.0)[0] * 110.0
        return lightness[0], ab.permute(1, 2, 0).numpy()

    return colors
