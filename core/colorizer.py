"""The Colorizer: gray scans in, color pictures out. Knows nothing of files, jobs or queues."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from core.checkpoints import load_generator, read_metadata
from core.errors import SetupError
from core.imaging import lab
from core.imaging.arrays import Floats, Samples
from core.imaging.orientation import stored, upright
from core.imaging.scan import Page, Scan
from core.imaging.upsampling import shrink_lightness, upsample_ab

STRIDE = 32
MAX_ASPECT = 4


@dataclass(frozen=True, eq=False)
class Colorized:
    """A scan's result.

    Args:
        pages: for each page of the scan, uint8 or uint16 (H, W, 3), as stored as the original.
        mean_chroma: mean of the predicted CIELAB chroma over all pages, 0 for gray.
    """

    pages: tuple[Samples, ...]
    mean_chroma: float

    @property
    def rgb(self) -> Samples:
        """The first page, for previews."""
        return self.pages[0]


def network_size(height: int, width: int, edge_px: int) -> tuple[int, int]:
    """Height and width at which the network sees a picture.

    The short side is edge_px, the long side keeps the aspect but is at most MAX_ASPECT times that; both are rounded to
    the network's stride, of which they are at least one.
    """
    scale = edge_px / min(height, width)
    longest = edge_px * MAX_ASPECT
    rows, columns = (max(STRIDE, STRIDE * round(min(side * scale, longest) / STRIDE)) for side in (height, width))
    return rows, columns


class Colorizer:
    """A loaded generator and what it takes to apply it. Calls from several threads take turns at the network.

    Args:
        generator: maps L/50-1 (N, 1, H, W) to ab/110 (N, 2, H, W); already on the device.
        version: of its weights.
        device: "cpu" or "cuda".
        network_edge_px: short side of what the network sees, in pixels.
    """

    def __init__(self, generator: nn.Module, version: str, device: str, network_edge_px: int) -> None:
        self.version = version
        self.device = device
        self.network_edge_px = network_edge_px
        self._generator = generator.to(device).to(memory_format=torch.channels_last)
        self._half = _computes_bfloat16(device)
        # DynamicUnet keeps activations in forward hooks, so two threads inside it would mix up their pictures.
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls, models_dir: Path, device: Literal["auto", "cpu", "cuda"] = "auto", network_edge_px: int = 256
    ) -> "Colorizer":
        """Load the weights in models_dir.

        Raises:
            CheckpointError: as checkpoints.load_generator says.
            SetupError: no_cuda, when "cuda" is asked for and there is none.
        """
        has_cuda = device != "cpu" and torch.cuda.is_available()
        if device == "cuda" and not has_cuda:
            raise SetupError("no_cuda", "No CUDA device is usable here; set GRAY2HUE_DEVICE to cpu or auto.")
        version = read_metadata(models_dir).version
        return cls(load_generator(models_dir), version, "cuda" if has_cuda else "cpu", network_edge_px)

    def predict_ab(self, lightness: Sequence[Floats]) -> list[Floats]:
        """Chroma of upright pictures.

        Each picture goes through the network alone, so that its result does not depend on its neighbors.

        Args:
            lightness: float32 (h, w) in 0..100 each, of sizes that network_size gives.

        Returns:
            CIELAB a and b, float32 (h, w, 2) each.
        """
        with self._lock, torch.inference_mode():
            return [self._predict(plane) for plane in lightness]

    def _predict(self, plane: Floats) -> Floats:
        batch = torch.from_numpy(np.ascontiguousarray(plane))[None, None] / 50 - 1
        batch = batch.to(self.device).contiguous(memory_format=torch.channels_last)
        with ExitStack() as modes:
            modes.enter_context(torch.autocast(self.device, torch.bfloat16, enabled=self._half))
            modes.enter_context(torch.backends.cudnn.flags(benchmark=False, deterministic=True))
            output: torch.Tensor = self._generator(batch)
        ab = output.as_subclass(torch.Tensor)[0].float().mul(110).permute(1, 2, 0)
        return np.ascontiguousarray(ab.cpu().numpy())

    def colorize(self, scan: Scan) -> Colorized:
        """Color for every page of a scan, at full size, the original's lightness kept."""
        results = [self._colorize_page(page) for page in scan.pages]
        chroma = float(np.average([mean for _, mean in results], weights=[page.samples.size for page in scan.pages]))
        return Colorized(tuple(rgb for rgb, _ in results), chroma)

    def _colorize_page(self, page: Page) -> tuple[Samples, float]:
        ab = self._chroma_of(page)
        rgb: Samples = np.empty((page.height, page.width, 3), page.samples.dtype)
        for rows, band in upsample_ab(ab, page):
            rgb[rows] = lab.merge(page.lightness_rows(rows), band, page.bit_depth)
        return rgb, float(np.hypot(ab[..., 0], ab[..., 1]).mean())

    def _chroma_of(self, page: Page) -> Floats:
        """Chroma of a small copy of a page, as it is stored; the network sees the copy upright."""
        rows, columns = network_size(page.height, page.width, self.network_edge_px)
        small = upright(shrink_lightness(page, rows, columns), page.metadata.orientation)
        return stored(self.predict_ab([small])[0], page.metadata.orientation)


def _computes_bfloat16(device: str) -> bool:
    """Whether bfloat16 is computed by the device itself; where it is not, it would be slower than float32."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
