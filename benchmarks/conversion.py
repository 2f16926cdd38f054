"""How fast CIELAB conversion and merging are, against scikit-image in the same run, on one core.

python -m benchmarks.conversion FOLDER --out benchmarks/results/conversion
"""

import time
import warnings
from collections.abc import Callable

import numpy as np
from skimage.color import lab2rgb, rgb2lab
from skimage.transform import resize

from benchmarks.common import Row, arguments, photographs, report
from core.imaging import lab
from core.imaging.arrays import Samples
from core.imaging.merging import Merger, nearest_levels, srgb_bounds
from core.imaging.upsampling import SmallChroma, shrink

ROUNDS = 5


def core_ms(work: Callable[[], object]) -> float:
    """The least core time of some rounds, in milliseconds; the first one, which compiles and loads, is left out."""
    work()
    times = []
    for _ in range(ROUNDS):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return min(times) * 1e3


def compare(rgb: Samples) -> Row:
    """Core-milliseconds per megapixel of one photograph."""
    megapixels = rgb.shape[0] * rgb.shape[1] / 1e6
    values = lab.lab_from_rgb(rgb)
    levels = nearest_levels(values[..., 0])
    small = [shrink(np.ascontiguousarray(values[..., channel]), 192, 256) for channel in range(3)]
    chroma = SmallChroma.of(small[0], np.dstack(small[1:]))

    def merge() -> None:
        merger = Merger(levels.shape[0], levels.shape[1], chroma, 8, srgb_bounds())
        for top in range(0, levels.shape[0], 256):
            rows = slice(top, min(top + 256, levels.shape[0]))
            merger.merge(rows, lab.lightness_from_gray(levels[rows]), levels[rows])

    gray = np.dstack([levels] * 3)

    def merge_by_scikit_image() -> None:
        large = [resize(plane, levels.shape, order=1) for plane in small[1:]]  # type: ignore[no-untyped-call]  # no types
        lab2rgb(np.dstack((rgb2lab(gray)[..., 0], *large)))

    ours, theirs = core_ms(lambda: lab.lab_from_rgb(rgb)), core_ms(lambda: rgb2lab(rgb))
    ours_merge = core_ms(merge)
    with warnings.catch_warnings():
        # Colors that sRGB cannot hold are clipped there, which scikit-image says each time.
        warnings.simplefilter("ignore")
        theirs_merge = core_ms(merge_by_scikit_image)
    return {
        "to CIELAB, ours": ours / megapixels,
        "scikit-image": theirs / megapixels,
        "ratio": theirs / ours,
        "lightness, upsampling, merging, ours": ours_merge / megapixels,
        "scikit-image, bilinear": theirs_merge / megapixels,
        "ratio of merging": theirs_merge / ours_merge,
    }


def main() -> None:
    """See the module."""
    options = arguments(__doc__ or "")
    rows = [{"photograph": name} | compare(rgb) for name, rgb in photographs(options.folder, options.count)]
    report("Conversion and merging, core-milliseconds per megapixel", rows, options.out)


if __name__ == "__main__":
    main()
