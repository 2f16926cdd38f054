"""Eight-bit integers in place of floating point, by NNCF: about twice as fast on a CPU with AVX2.

NNCF watches the values between the layers while the network colorizes some pictures, and rounds weights and values to
256 steps of the whole range seen. The pictures are those that scikit-image brings along: every machine has the same
ones. Each is shown in three exposures, since old prints are rarely well exposed.
"""

from collections.abc import Iterator

import nncf
import numpy as np
import openvino
from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
from nncf.quantization.range_estimator import RangeEstimatorParametersSet
from skimage import data

from core.colorizer import network_size
from core.imaging.arrays import Floats
from core.imaging.tone import SRGB
from core.imaging.upsampling import shrink

PICTURES = ("astronaut", "camera", "chelsea", "coffee", "coins", "moon", "rocket")
GAMMAS = (0.6, 1.0, 1.6)

WHOLE_RANGES = AdvancedQuantizationParameters(activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX)
"""NNCF's own choice, the mean of the pictures' ranges, cuts the strongest values off, and with them the colors."""


def quantized(model: "openvino.Model", network_edge_px: int) -> "openvino.Model":
    """The network with its convolutions in eight bits.

    Args:
        model: maps L, float32 (1, 1, h, w) in 0..100, to ab.
        network_edge_px: short side of what the network sees, in pixels.
    """
    shown = [lightness[None, None] for lightness in calibration_pictures(network_edge_px)]
    return nncf.quantize(
        model,
        nncf.Dataset(shown),
        subset_size=len(shown),
        target_device=nncf.TargetDevice.CPU,
        advanced_parameters=WHOLE_RANGES,
    )


def calibration_pictures(network_edge_px: int) -> Iterator[Floats]:
    """Lightness, float32 (h, w) in 0..100, of what the network is shown."""
    for name in PICTURES:
        lightness = SRGB.lightness(getattr(data, name)())
        height, width = lightness.shape
        small = shrink(lightness, *network_size(height, width, network_edge_px))
        for gamma in GAMMAS:
            yield np.float32(100) * (small / np.float32(100)) ** np.float32(gamma)
