"""Peak memory of a worker's engine with very large scans, each in a process of its own.

    python -m benchmarks.memory FOLDER --out benchmarks/results/memory

The scans are made from the folder's first photograph, tiled, with noise so that they do not pack better than real ones.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

from benchmarks.common import Row, arguments, photographs, report
from core.engine import memory_needed
from core.imaging import codec, lab
from core.imaging.arrays import Samples
from core.imaging.merging import nearest_levels

WORK = r"""
import re, sys
from datetime import UTC, datetime
from cli.environment import read_settings
from cli.measuring import shipped_colorizer
from core.engine import Engine, MemoryGate
from core.imaging.codec import ImageLimits
from core.options import JobOptions
settings = read_settings()
colorizer = shipped_colorizer(settings)
engine = Engine(ImageLimits(settings.max_pixels, settings.max_entry_bytes), MemoryGate(settings.photo_memory_bytes),
                "Gray2Hue", settings.preview_edge_px)
peak_kb = lambda: re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]
loaded = peak_kb()
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "w+b") as target:
    outcome = engine.process(colorizer, source, target, JobOptions(color_input="colorize"), datetime.now(UTC))
print(type(outcome).__name__, loaded, peak_kb())
"""


@dataclass(frozen=True)
class Case:
    """A kind of large scan."""

    name: str
    megapixels: int
    channels: int
    bits: int
    write: Callable[[Path, Samples], None]


def write_jpeg(path: Path, pixels: Samples) -> None:
    """Quality 95."""
    path.write_bytes(imagecodecs.jpeg8_encode(pixels, 95))


def write_png(path: Path, pixels: Samples) -> None:
    """Fast compression."""
    path.write_bytes(imagecodecs.png_encode(pixels, level=1))


def tiff_writer(compression: str | None) -> Callable[[Path, Samples], None]:
    """A TIFF with this compression."""

    def write(path: Path, pixels: Samples) -> None:
        photometric = "rgb" if pixels.ndim == 3 else "minisblack"
        alpha = ["unassalpha"] if pixels.shape[2:] == (4,) else None
        tifffile.imwrite(
            path, pixels, photometric=photometric, extrasamples=alpha, compression=compression, rowsperstrip=64,
            metadata=None,
        )  # fmt: skip

    return write


CASES = (
    Case("gray JPEG", 100, 1, 8, write_jpeg),
    Case("RGB JPEG", 100, 3, 8, write_jpeg),
    Case("gray PNG", 100, 1, 8, write_png),
    Case("RGB TIFF, LZW", 100, 3, 8, tiff_writer("lzw")),
    Case("gray TIFF, plain", 200, 1, 16, tiff_writer(None)),
    Case("gray TIFF, LZW", 200, 1, 16, tiff_writer("lzw")),
    Case("RGB TIFF, Deflate", 200, 3, 16, tiff_writer("zlib")),
    Case("RGB TIFF with alpha, LZW", 200, 4, 16, tiff_writer("lzw")),
    Case("RGB PNG with alpha", 200, 4, 16, write_png),
)


def make(case: Case, gray: Samples) -> Samples:
    """A scan of about so many megapixels."""
    side = round((case.megapixels * 1e6) ** 0.5)
    repeats = (-(-side // gray.shape[0]), -(-side // gray.shape[1]))
    scan: Samples = np.tile(gray, repeats)[:side, :side]
    if case.bits == 16:
        scan = scan.astype(np.uint16) * 257
        noise = np.random.default_rng(0)
        for top in range(0, side, 256):
            band = scan[top : top + 256]
            scan[top : top + 256] = np.clip(band.astype(np.int32) + noise.integers(-300, 300, band.shape), 0, 65535)
    return scan if case.channels == 1 else np.repeat(scan[..., None], case.channels, axis=2)


def peak(case: Case, gray: Samples, folder: Path) -> Row:
    """Colorize such a scan in a fresh process; its peak resident memory in MB."""
    source, target = folder / "scan", folder / "result"
    case.write(source, make(case, gray))
    command = [sys.executable, "-c", WORK, str(source), str(target)]
    outcome, loaded_kb, peak_kb = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return {
        "scan": case.name,
        "megapixels": case.megapixels,
        "bits": case.bits,
        "outcome": outcome,
        "loaded, MB": round(int(loaded_kb) * 1024 / 1e6),
        "reckoned, MB": round(reckoned(source) / 1e6),
        "peak, MB": round(int(peak_kb) * 1024 / 1e6),
        "file in, MB": round(source.stat().st_size / 1e6),
        "file out, MB": round(target.stat().st_size / 1e6),
    }


def reckoned(source: Path) -> int:
    """Bytes that the engine reckons with for a file whose result has its format."""
    with source.open("rb") as stream:
        found = codec.probe(stream, codec.ImageLimits(2**31, 2**40))
    if found is None:
        raise ValueError(f"{source} is no image of a known kind")
    return memory_needed(found, found.format)


def main() -> None:
    """See the module."""
    options = arguments(__doc__ or "")
    _, rgb = next(photographs(options.folder, 1))
    gray = nearest_levels(lab.lightness_from_rgb(rgb))
    with tempfile.TemporaryDirectory() as folder:
        rows = [peak(case, gray, Path(folder)) for case in CASES]
    report("Peak memory of one process with one large scan", rows, options.out)


if __name__ == "__main__":
    main()
