"""Whether a photograph gets the same colors when it comes small and when it comes large.

    python -m benchmarks.sizes FOLDER --out benchmarks/results/sizes

Each photograph is colorized with its long side at 512 pixels and at 2,048 (or its own, if that is less). The chroma of
the large one is shrunk to the size of the small one (means over areas) and compared under the same lightness.
"""

import numpy as np

from benchmarks.common import Row, arguments, photographs, report
from cli.environment import read_settings
from core.checkpoints import read_metadata
from core.imaging import lab
from core.imaging.arrays import Samples
from core.imaging.upsampling import shrink
from core.runtimes import choose_runtime
from core.settings import SOURCE_ROOT
from core.training import metrics
from core.training.evaluation import Predict, model_predictor

SMALL_PX, LARGE_PX = 512, 2048


def compare(rgb: Samples, predict: Predict) -> Row:
    """The long sides, and how far the colors lie apart."""
    lightness = np.ascontiguousarray(lab.lab_from_rgb(rgb)[..., 0])
    long_side = max(lightness.shape)
    sizes = [
        tuple(max(1, round(side * min(1, limit / long_side))) for side in lightness.shape)
        for limit in (SMALL_PX, LARGE_PX)
    ]
    small, large = (shrink(lightness, *size) for size in sizes)
    ab = predict(large)
    shrunk = [shrink(np.ascontiguousarray(ab[..., channel]), *small.shape) for channel in range(2)]
    distance = metrics.de00(np.dstack((small, predict(small))), np.dstack((small, *shrunk)))
    return {"small px": max(small.shape), "large px": max(large.shape), "mean dE00": distance}


def main() -> None:
    """See the module."""
    options = arguments(__doc__ or "")
    models = SOURCE_ROOT / "models"
    metadata = read_metadata(models)
    runtime = choose_runtime(models, read_settings().runtimes_dir, "cpu", "auto")
    predict = model_predictor(runtime, metadata.network_edge_px)
    rows = [{"photograph": name, **compare(rgb, predict)} for name, rgb in photographs(options.folder, options.count)]
    runtime.close()
    found = [row["mean dE00"] for row in rows]
    note = f"{metadata.version}: mean {np.mean(found):.2f}, at most {max(found):.2f} CIEDE2000."
    report("The same photograph, small and large", rows, options.out, [note])


if __name__ == "__main__":
    main()
