"""The network together with the scaling of what goes in and comes out of it."""

from torch import Tensor, nn


class ChromaOfLightness(nn.Module):
    """A generator that takes and gives CIELAB values.

    It maps L, float (1, 1, h, w) in 0..100, to ab, float32 (1, h, w, 2).

    Args:
        generator: maps L/50-1 (N, 1, h, w) to ab/110 (N, 2, h, w); in eval mode.
    """

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, lightness: Tensor) -> Tensor:
        """Chroma of one picture."""
        scaled: Tensor = self.generator(lightness / 50 - 1)
        # fastai hands out its own subclass of Tensor, whose every operation is slower and cannot be traced.
        return scaled.as_subclass(Tensor).float().mul(110).permute(0, 2, 3, 1)
