"""The generator: fastai's DynamicUnet on a ResNet-18 body. The only file that imports fastai."""

import warnings

from torch import nn
from torchvision.models import resnet18

with warnings.catch_warnings():
    # fastai 2.8 still uses torch.jit.script and a pandas option without effect; both are its own matter to change.
    warnings.filterwarnings("ignore", message=r"`torch\.jit\.script` is deprecated")
    warnings.filterwarnings("ignore", message=r"The 'mode\.chained_assignment' option is deprecated")
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
