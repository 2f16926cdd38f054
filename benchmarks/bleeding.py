"""How far colors bleed over contours: true chroma is shrunk to the network's size and restored.

    python -m benchmarks.bleeding FOLDER --out benchmarks/results/bleeding

Compared with bilinear interpolation where it matters, on the strongest tenth of the lightness's edges: the mean
distance between restored and true (a, b).
"""

import numpy as np
from PIL import Image

from benchmarks.common import Row, arguments, photographs, report
from core.imaging import lab
from core.imaging.arrays import Floats, Samples
from core.imaging.upsampling import SmallChroma, shrink, upsample_ab

EDGES_PX = (128, 192, 256)


def compare(rgb: Samples, edge_px: int) -> tuple[float, float]:
    """The error along edges of bilinear interpolation and of ours."""
    values = lab.lab_from_rgb(rgb)
    lightness = np.ascontiguousarray(values[..., 0])
    height, width = lightness.shape
    scale = edge_px / min(height, width)
    size = (round(height * scale), round(width * scale))
    small, a, b = (shrink(np.ascontiguousarray(values[..., channel]), *size) for channel in range(3))
    gradient = np.hypot(*np.gradient(lightness))
    edges = gradient >= np.quantile(gradient, 0.9)
    plain = np.dstack([_bilinear(plane, height, width) for plane in (a, b)])
    ours = upsample_ab(SmallChroma.of(small, np.dstack((a, b))), lightness)
    return tuple(float(np.hypot(*(result - values[..., 1:])[edges].T).mean()) for result in (plain, ours))  # type: ignore[return-value]  # two


def _bilinear(plane: Floats, height: int, width: int) -> Floats:
    return np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))


def main() -> None:
    """See the module."""
    options = arguments(__doc__ or "")
    rows: list[Row] = []
    for name, rgb in photographs(options.folder, options.count):
        row: Row = {"photograph": name, "megapixels": rgb.shape[0] * rgb.shape[1] / 1e6}
        for edge_px in EDGES_PX:
            row[f"bilinear {edge_px}"], row[f"ours {edge_px}"] = compare(rgb, edge_px)
        rows.append(row)
    notes = []
    for edge_px in EDGES_PX:
        pairs = [(row[f"bilinear {edge_px}"], row[f"ours {edge_px}"]) for row in rows]
        better = sum(ours < plain for plain, ours in pairs)
        gain = np.mean([1 - ours / plain for plain, ours in pairs])
        notes.append(
            f"Short side {edge_px}: better on {better} of {len(rows)}, error smaller by {gain:.1%} on average."
        )
    report("Color along contours, restored from the network's size", rows, options.out, notes)


if __name__ == "__main__":
    main()
