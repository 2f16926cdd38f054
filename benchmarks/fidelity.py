"""How true results are to the scan's lightness, from file to file, read back by Pillow, tifffile and scikit-image.

    python -m benchmarks.fidelity FOLDER --out benchmarks/results/fidelity

Each photograph is made gray and colorized as 8-bit PNG, as 16-bit TIFF, and as JPEG of quality 95, from a PNG and from
a JPEG. For the JPEG, it is told how much more it costs than saving the gray picture itself at that quality. That cost
is next to nothing for a gray JPEG, whose values lie on the coder's grid already. Those of a color cannot: steps of Y
are 0.4 of L wide.
"""

import io
from datetime import UTC, datetime

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab

from benchmarks.common import Row, arguments, photographs, report
from cli.environment import read_settings
from cli.measuring import shipped_colorizer
from core.engine import Engine, MemoryGate, Skipped
from core.imaging import lab
from core.imaging.arrays import Samples
from core.imaging.codec import ImageLimits
from core.imaging.merging import nearest_levels
from core.options import JobOptions

Lightness = NDArray[np.floating]


def lightness_of(pixels: Samples) -> Lightness:
    """CIE L by scikit-image, of gray or RGB pixels, 8 or 16 bits."""
    rgb = pixels if pixels.ndim == 3 else np.dstack([pixels] * 3)
    lightness: Lightness = rgb2lab(rgb)[..., 0]
    return lightness


def opened(content: bytes) -> Samples:
    """Pixels by Pillow."""
    return np.asarray(Image.open(io.BytesIO(content)))


def saved(pixels: Samples, file_format: str, **options: object) -> bytes:
    """A file by Pillow, or by tifffile."""
    buffer = io.BytesIO()
    if file_format == "TIFF":
        tifffile.imwrite(buffer, pixels, photometric="minisblack", compression="zlib", metadata=None)
    else:
        Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


class Fidelity:
    """Colorizes with the shipped model and compares."""

    def __init__(self) -> None:
        settings = read_settings()
        self._colorizer = shipped_colorizer(settings)
        limits = ImageLimits(settings.max_pixels, settings.max_entry_bytes)
        self._engine = Engine(limits, MemoryGate(settings.photo_memory_bytes), "Gray2Hue")
        self._table = lightness_of(np.arange(256, dtype=np.uint8)[None])[0]

    def colorized(self, content: bytes, options: JobOptions = JobOptions()) -> bytes:  # noqa: B008 - it is frozen
        """The result's file; nothing for a photograph that is skipped."""
        target = io.BytesIO()
        outcome = self._engine.process(self._colorizer, io.BytesIO(content), target, options, datetime.now(UTC))
        return b"" if isinstance(outcome, Skipped) else target.getvalue()

    def compare(self, rgb: Samples) -> Row:
        """Errors of lightness for one color photograph, made gray."""
        exact = lab.lightness_from_rgb(rgb)
        gray = nearest_levels(exact)
        deep = np.searchsorted(lab.lightness_table(65536), exact).clip(0, 65535).astype(np.uint16)
        scan = saved(gray, "PNG")
        png = self.colorized(scan)
        if not png:
            return {}
        lossless = lightness_of(opened(png))
        middles = (self._table[1:] + self._table[:-1]) / 2
        errors = np.abs(lossless - lightness_of(gray))
        tiff = np.asarray(tifffile.imread(io.BytesIO(self.colorized(saved(deep, "TIFF")))))
        return {
            "8 bit mean": float(errors.mean()),
            "8 bit max": float(errors.max()),
            "levels back": float((np.searchsorted(middles, lossless) == gray).mean()),
            "16 bit mean": float(np.abs(lightness_of(tiff) - lightness_of(deep)).mean()),
            **self._as_jpeg("PNG to JPEG", scan),
            **self._as_jpeg("JPEG to JPEG", saved(gray, "JPEG", quality=95)),
        }

    def _as_jpeg(self, name: str, scan: bytes) -> Row:
        """What a JPEG of quality 95 costs the colorized photograph, and how much more than the gray one."""
        truth = lightness_of(opened(scan))
        result = opened(self.colorized(scan, JobOptions(output_format="jpeg")))
        ours = float(np.abs(lightness_of(result) - truth).mean())
        gray = float(np.abs(lightness_of(opened(saved(opened(scan), "JPEG", quality=95))) - truth).mean())
        return {f"{name}, mean": ours, f"{name}, beyond gray": ours - gray}


def main() -> None:
    """See the module."""
    options = arguments(__doc__ or "")
    fidelity = Fidelity()
    rows: list[Row] = []
    for name, rgb in photographs(options.folder, options.count):
        row = fidelity.compare(rgb)
        if row:
            rows.append({"photograph": name} | row)
    worst = {
        key: (min if key == "levels back" else max)(row[key] for row in rows) for key in rows[0] if key != "photograph"
    }
    notes = [f"Worst of {len(rows)}: " + ", ".join(f"{key} {value:.4g}" for key, value in worst.items()) + "."]
    report("Lightness of results against the scan's, |dL| of CIE L in 0..100", rows, options.out, notes)


if __name__ == "__main__":
    main()
