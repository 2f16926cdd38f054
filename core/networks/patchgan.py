"""The discriminator: a 70 x 70 PatchGAN on lightness and color, used in training alone.

Source: Isola et al., Image-to-Image Translation with Conditional Adversarial Networks, 2017 (appendix 6.1.2).
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

WIDTHS = (64, 128, 256, 512)
STRIDES = (2, 2, 2, 1)
SLOPE = 0.2
INIT_STD = 0.02


class PatchGan(nn.Module):
    """Judges, patch by patch of 70 x 70 pixels, whether colors are the truth or the generator's.

    Args:
        spectral: whether each convolution is divided by its spectral norm (Miyato et al., 2018). Otherwise all but the
            first and the last are normalized over the batch, as in the paper.
    """

    def __init__(self, *, spectral: bool) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        previous = 3
        for index, (width, stride) in enumerate(zip(WIDTHS, STRIDES, strict=True)):
            blocks.append(_block(previous, width, stride, spectral=spectral, plain=index == 0))
            previous = width
        self.blocks = nn.ModuleList(blocks)
        last = _convolution(previous, 1, 1, bias=True)
        self.last = spectral_norm(last) if spectral else last

    def forward(self, lightness: Tensor, ab: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits, positive for the truth, and what each block saw.

        Args:
            lightness: L/50-1, float (N, 1, H, W), at least 32 x 32.
            ab: ab/110, float (N, 2, H, W).

        Returns:
            Logits, float (N, 1, H/8-2, W/8-2), and the blocks' outputs, the first one first.
        """
        features = []
        seen = torch.cat((lightness, ab), 1)
        for block in self.blocks:
            seen = block(seen)
            features.append(seen)
        return self.last(seen), features


def _block(n_in: int, n_out: int, stride: int, *, spectral: bool, plain: bool) -> nn.Module:
    normalized = not spectral and not plain
    convolution = _convolution(n_in, n_out, stride, bias=not normalized)
    layers: list[nn.Module] = [spectral_norm(convolution) if spectral else convolution]
    if normalized:
        layers.append(nn.BatchNorm2d(n_out))
    return nn.Sequential(*layers, nn.LeakyReLU(SLOPE))


def _convolution(n_in: int, n_out: int, stride: int, *, bias: bool) -> nn.Conv2d:
    convolution = nn.Conv2d(n_in, n_out, 4, stride, 1, bias=bias)
    nn.init.normal_(convolution.weight, 0, INIT_STD)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return convolution
