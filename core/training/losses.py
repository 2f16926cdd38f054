"""What the networks are trained for.

L_G = L_GAN + lambda * L1 and L_D = (L_real + L_fake) / 2 are those of Isola et al. (pix2pix, 2017), with the binary
cross-entropy on logits. Everything is computed in float32, whatever the networks' precision.
"""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from core.imaging.arrays import Floats
from core.imaging.lab import lab_from_rgb

CHROMA_CAP = 0.8
BIN = 10 / 110
"""Edge of a bin of colors: 10 units of a or b, scaled like what the network gives."""
REACH = 11
SMOOTHING = 0.5


def l1(fake_ab: Tensor, real_ab: Tensor, chroma_weight: float) -> Tensor:
    """Mean absolute error, weighted by 1 + w * min(|ab|, 0.8) of the truth, so that rare strong colors count.

    Args:
        fake_ab: ab/110, (N, 2, H, W).
        real_ab: likewise.
        chroma_weight: w; 0 for the plain mean.
    """
    errors = (fake_ab.float() - real_ab).abs()
    if chroma_weight:
        chroma = real_ab.norm(dim=1, keepdim=True).clamp(max=CHROMA_CAP)
        errors = errors * (1 + chroma_weight * chroma)
    return errors.mean()


def gan_generator(fake_logits: Tensor) -> Tensor:
    """L_GAN: the generator wants its colors to be taken for the truth."""
    return F.softplus(-fake_logits.float()).mean()


def gan_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """L_D = (L_real + L_fake) / 2."""
    real, fake = F.softplus(-real_logits.float()).mean(), F.softplus(fake_logits.float()).mean()
    return (real + fake) / 2


def feature_matching(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Mean over the discriminator's blocks of the L1 distance between what they saw (Wang et al., pix2pixHD, 2018)."""
    distances = [(one.detach().float() - other.float()).abs().mean() for one, other in zip(real, fake, strict=True)]
    return torch.stack(distances).mean()


def color_bins() -> tuple[Tensor, int]:
    """The bins of 10 x 10 units of ab that sRGB colors fall into.

    Returns:
        For each (a, b) in a grid of -110..110, int64 (23, 23), the number of its bin, -1 where there is no such color;
        and how many bins there are.
    """
    levels = np.linspace(0, 255, 33).round().astype(np.uint8)
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    place = np.rint(lab_from_rgb(rgb)[:, 1:] / 10).astype(int) + REACH
    table = np.full((2 * REACH + 1, 2 * REACH + 1), -1)
    table[place[:, 0], place[:, 1]] = 0
    count = int((table == 0).sum())
    table[table == 0] = np.arange(count)
    return torch.from_numpy(table), count


def bin_weights(counts: Floats) -> Tensor:
    """How much each bin counts, float32 (Q,): 1 / ((1 - lambda) p + lambda / Q), scaled to a mean of 1 under p.

    Source: Zhang et al., Colorful Image Colorization, 2016 (equation 4), lambda = 0.5; p is not smoothed here.

    Args:
        counts: how often each bin is seen, (Q,).
    """
    share = counts.astype(np.float64) / max(1.0, float(counts.sum()))
    weights = 1 / ((1 - SMOOTHING) * share + SMOOTHING / len(share))
    total = float((weights * share).sum()) or 1.0
    return torch.from_numpy((weights / total).astype(np.float32))


class ColorClassifier(nn.Module):
    """A head that names the bin of each pixel's color from the generator's last features; inference does without it.

    Args:
        channels: of those features.
    """

    table: Tensor
    weights: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        table, count = color_bins()
        self.head = nn.Conv2d(channels, count, 1)
        self.register_buffer("table", table)
        self.register_buffer("weights", torch.ones(count))

    def bins_of(self, ab: Tensor) -> Tensor:
        """The bin of each ab/110, (N, 2, h, w), as int64 (N, h, w); -1 where there is none."""
        place = (ab / BIN).round().long().clamp(-REACH, REACH) + REACH
        return self.table[place[:, 0], place[:, 1]]

    def balance(self, real_ab: Tensor) -> None:
        """Set the bins' weights by how often they are seen in true colors, ab/110 (N, 2, H, W)."""
        bins = self.bins_of(real_ab)
        counts = torch.bincount(bins[bins >= 0].cpu(), minlength=len(self.weights))
        self.weights.copy_(bin_weights(counts.numpy().astype(np.float32)))

    def forward(self, features: Tensor, real_ab: Tensor) -> Tensor:
        """The weighted cross-entropy at a quarter of the pictures' size.

        Args:
            features: the generator's, (N, channels, h, w), at half the pictures' size.
            real_ab: ab/110, (N, 2, H, W).
        """
        logits = self.head(F.avg_pool2d(features, 2)).float()
        bins = self.bins_of(F.adaptive_avg_pool2d(real_ab, logits.shape[-2:]))
        return F.cross_entropy(logits, bins, self.weights, ignore_index=-1)
