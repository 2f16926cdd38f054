"""The generator: fastai's DynamicUnet on a ResNet-18 body. The only file that imports fastai."""

import warnings
from typing import cast

import torch
from torch import nn
from torchvision.models import resnet18

with warnings.catch_warnings():
    # fastai 2.8 still uses torch.jit.script and a pandas option without effect; both are its own matter to change.
    warnings.filterwarnings("ignore", message=r"`torch\.jit\.script` is deprecated")
    warnings.filterwarnings("ignore", message=r"The 'mode\.chained_assignment' option is deprecated")
    from fastai.layers import PixelShuffle_ICNR
    from fastai.vision.models.unet import DynamicUnet


def build_generator(
    n_in: int = 1, n_out: int = 2, img_size: tuple[int, int] = (256, 256), *, last_cross: bool
) -> nn.Module:
    """An untrained generator in eval mode.

    It maps L/50-1, float (N, n_in, H, W), to ab/110, float (N, n_out, H, W). Activations are kept in forward hooks, so
    one instance must never serve two threads. On the meta device nothing is computed or initialized.

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        img_size: height and width of the dummy picture by which the decoder's shapes are found.
        last_cross: whether the input is joined to the last block at full size (the seed's way; almost twice the cost).
    """
    body = resnet18(weights=None)
    body.conv1 = nn.Conv2d(n_in, 64, kernel_size=7, stride=2, padding=3, bias=False)
    # What fastai's create_body(resnet18(), n_in=1, pretrained=False, cut=-2) gives; importing that takes seconds more.
    encoder = nn.Sequential(*list(body.children())[:-2])
    generator: nn.Module = DynamicUnet(encoder, n_out, img_size, last_cross=last_cross)
    return generator.eval()


def last_features(generator: nn.Module) -> tuple[nn.Module, int]:
    """The layer that gives the decoder's last features, (N, channels, H/2, W/2), and how many channels those are."""
    layers = cast(nn.ModuleList, generator.layers)
    shuffle = next(index for index, layer in enumerate(layers) if isinstance(layer, PixelShuffle_ICNR))
    widen = next(layers[shuffle].children())
    return layers[shuffle - 1], cast(nn.Conv2d, cast(nn.Sequential, widen)[0]).in_channels


def fold_last_convolution(generator: nn.Module) -> nn.Module:
    """A generator that gives the same, up to rounding, with less memory and time; the one given is taken apart.

    Without last_cross the decoder ends in 96 channels shuffled to full size, of which a 1 x 1 convolution makes two. It
    can as well be applied before the shuffling, at half the size. With last_cross there is nothing to fold.

    Args:
        generator: as build_generator gives it, with its weights.
    """
    layers = cast(nn.ModuleList, generator.layers)
    *_, shuffle, _resize, last, _to_tensor = layers
    if isinstance(shuffle, PixelShuffle_ICNR):
        widen, spread = shuffle
        convolution = cast(nn.Conv2d, cast(nn.Sequential, last)[0])
        layers[-4] = nn.Sequential(widen, _before_shuffling(convolution, spread.upscale_factor), spread)
        layers[-2] = nn.Identity()
    return generator


def _before_shuffling(convolution: nn.Conv2d, factor: int) -> nn.Conv2d:
    """A 1 x 1 convolution after a pixel shuffle, as one before it.

    The shuffle takes channel c * factor**2 + k to place k of channel c, so each place gets the convolution by itself.
    """
    places = factor**2
    bias = convolution.bias is not None
    folded = nn.Conv2d(convolution.in_channels * places, convolution.out_channels * places, 1, bias=bias)
    each_place = torch.eye(places).to(convolution.weight)
    folded.weight = nn.Parameter(torch.kron(convolution.weight[..., 0, 0], each_place)[..., None, None], False)
    if convolution.bias is not None:
        folded.bias = nn.Parameter(convolution.bias.repeat_interleave(places), False)
    return folded.eval()
