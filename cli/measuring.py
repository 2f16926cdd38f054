"""What `gray2hue bench` measures, and the table it makes of it."""

import io
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.checkpoints import read_metadata
from core.colorizer import Colorizer, network_size
from core.engine import Engine, MemoryGate, photo_threads
from core.errors import InputError
from core.imaging import codec, lab
from core.imaging.arrays import Floats
from core.imaging.merging import nearest_levels
from core.imaging.output import ArrayPage, Output
from core.imaging.upsampling import shrink_lightness
from core.machine import usable_cores
from core.options import JobOptions
from core.runtimes import choose_runtime
from core.settings import Settings

Figures = dict[str, Any]
SEED_EDGE_PX = 256
# So many photographs at least go through the engine in a round, the same ones again if need be: an archive has more,
# and with few of them much of the time is the end, when some cores wait while others work on the last ones.
ENGINE_PHOTOGRAPHS = 100
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"})


@dataclass
class Timing:
    """Seconds per photograph of each round, by the clock and of all cores together."""

    wall_s: list[float] = field(default_factory=list)
    core_s: list[float] = field(default_factory=list)

    @contextmanager
    def round(self, photographs: int) -> Iterator[None]:
        """Time the block, in which so many photographs are worked on."""
        wall, core = time.perf_counter(), time.process_time()
        yield
        self.wall_s.append((time.perf_counter() - wall) / photographs)
        self.core_s.append((time.process_time() - core) / photographs)

    def figures(self) -> Figures:
        """Medians over the rounds."""
        return {"wall_s": statistics.median(self.wall_s), "core_s": statistics.median(self.core_s)}


def gray_jpegs(folder: Path, count: int, pixels: int) -> list[bytes]:
    """The folder's first photographs as gray JPEGs of quality 95, at most `pixels` pixels each.

    Raises:
        InputError: no_photographs.
    """
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)[:count]:
        image = Image.open(path).convert("RGB")
        share = min(1.0, (pixels / (image.width * image.height)) ** 0.5)
        image = image.resize((round(image.width * share), round(image.height * share)), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        Image.fromarray(nearest_levels(lab.lightness_from_rgb(np.asarray(image)))).save(buffer, "JPEG", quality=95)
        found.append(buffer.getvalue())
    if not found:
        raise InputError("no_photographs", f"There is no photograph in {folder}.")
    return found


def shipped_colorizer(settings: Settings) -> Colorizer:
    """The shipped model, as a worker of these settings would run it."""
    metadata = read_metadata(settings.models_dir)
    runtime = choose_runtime(settings.models_dir, settings.runtimes_dir, settings.device, settings.runtime)
    return Colorizer(runtime, metadata.version, metadata.network_edge_px)


def measure(
    settings: Settings, folder: Path, count: int, rounds: int, pixels: int, say: Callable[[str], None]
) -> Figures:
    """Measure all four ways in turn, as often as there are rounds; give medians and what follows from them."""
    jpegs = gray_jpegs(folder, count, pixels)
    colorizer = shipped_colorizer(settings)
    ways = Ways(settings, colorizer, jpegs)
    timings = {name: Timing() for name in ways.all}
    for number in range(rounds + 1):
        say("warming up ..." if number == 0 else f"round {number} of {rounds} ...")
        for name, way in ways.all.items():
            # The first round loads tables and compiled code, and is not counted.
            with (timings[name] if number else Timing()).round(ways.photographs[name]):
                way()
    colorizer.runtime.close()
    about = {"photographs": len(jpegs), "megapixels": ways.megapixels, "rounds": rounds, "threads": ways.threads}
    return _conclusions({name: timing.figures() for name, timing in timings.items()}, colorizer.runtime.name) | about


class Ways:
    """The ways that are compared, each working on all photographs once, the engine as often as makes a hundred."""

    def __init__(self, settings: Settings, colorizer: Colorizer, jpegs: Sequence[bytes]) -> None:
        self._jpegs = jpegs
        self._colorizer = colorizer
        self.threads = photo_threads(colorizer)
        self._limits = codec.ImageLimits(settings.max_pixels, settings.max_entry_bytes)
        self._engine = Engine(self._limits, MemoryGate(settings.photo_memory_bytes), "Gray2Hue")
        scans = [codec.decode(io.BytesIO(content), self._limits) for content in jpegs]
        self.megapixels = statistics.mean(scan.width * scan.height for scan in scans) / 1e6
        self._small = [self._shrunk(scan) for scan in scans]
        self._seed = SeedWay()
        self.all: dict[str, Callable[[], None]] = {
            "seed": self.seed,
            "network": self.network,
            "decode": self.decode,
            "encode": self.encode,
            "engine": self.engine,
        }
        self._scans = scans
        self._passes = -(-ENGINE_PHOTOGRAPHS // len(jpegs))
        self.photographs = dict.fromkeys(self.all, len(jpegs)) | {"engine": len(jpegs) * self._passes}

    def _shrunk(self, scan: codec.Scan) -> Floats:
        return shrink_lightness(scan.first, *network_size(scan.height, scan.width, self._colorizer.network_edge_px))

    def seed(self) -> None:
        """(a)"""
        for content in self._jpegs:
            self._seed.colorize(content)

    def network(self) -> None:
        """(b)"""
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(self._colorizer.runtime.predict, self._small))

    def decode(self) -> None:
        """(c), first half."""
        for content in self._jpegs:
            codec.decode(io.BytesIO(content), self._limits)

    def encode(self) -> None:
        """(c), second half: the gray pictures as RGB, whose chroma takes no more time than any other."""
        for scan in self._scans:
            rgb = np.repeat(scan.first.samples[..., None], 3, axis=2)
            codec.encode([ArrayPage(rgb)], scan, Output(), io.BytesIO())

    def engine(self) -> None:
        """(d)"""
        moment = datetime.now(UTC)

        def work(content: bytes) -> None:
            with tempfile.TemporaryFile() as target:
                self._engine.process(self._colorizer, io.BytesIO(content), target, JobOptions(), moment)

        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(work, list(self._jpegs) * self._passes))


class SeedWay:
    """The plain way of tutorials, with the seed's network. Its weights are random, which does not change its speed."""

    def __init__(self) -> None:
        from core.networks.unet import build_generator

        self._generator = build_generator(last_cross=True)

    def colorize(self, content: bytes) -> bytes:
        """A color PNG of 256 x 256 pixels from a JPEG."""
        import torch
        from skimage.color import lab2rgb, rgb2lab

        image = (
            Image.open(io.BytesIO(content))
            .convert("RGB")
            .resize((SEED_EDGE_PX, SEED_EDGE_PX), Image.Resampling.BICUBIC)
        )
        lightness = rgb2lab(np.asarray(image)).astype(np.float32)[..., :1]
        with torch.inference_mode():
            ab = self._generator(torch.from_numpy(lightness / 50 - 1).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
        with warnings.catch_warnings():
            # The plain way clips what sRGB cannot hold, and scikit-image says so each time.
            warnings.simplefilter("ignore")
            rgb = lab2rgb(np.concatenate((lightness, np.asarray(ab) * 110), axis=2))
        buffer = io.BytesIO()
        Image.fromarray((rgb * 255).astype(np.uint8)).save(buffer, "PNG")
        return buffer.getvalue()


def _conclusions(ways: dict[str, Figures], runtime: str) -> Figures:
    cores = usable_cores()
    network, decode, encode = (ways[name]["core_s"] for name in ("network", "decode", "encode"))
    if " cuda " in runtime:
        limit = 1 / max(ways["network"]["wall_s"], decode / cores, encode / cores)
    else:
        limit = cores / (network + decode + encode)
    engine = 1 / ways["engine"]["wall_s"]
    return {
        "ways": ways,
        "runtime": runtime,
        "cores": cores,
        "machine": processor(),
        "limit_photos_per_s": limit,
        "engine_photos_per_s": engine,
        "engine_to_limit": engine / limit,
        "engine_to_seed": engine * ways["seed"]["wall_s"],
    }


def processor() -> str:
    """The name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def table(figures: Figures) -> str:
    """The figures as Markdown."""
    names = {
        "seed": "(a) the seed's way, 256 x 256 out",
        "network": "(b) our network alone",
        "decode": "(c) JPEG decoding alone",
        "encode": "(c) JPEG encoding alone",
        "engine": "(d) Gray2Hue, file to file, full size",
    }
    rows = [
        f"| {name} | {1 / figures['ways'][way]['wall_s']:.2f} | {figures['ways'][way]['wall_s'] * 1e3:.1f} "
        f"| {figures['ways'][way]['core_s'] * 1e3:.1f} |"
        for way, name in names.items()
    ]
    reached, faster = figures["engine_to_limit"], figures["engine_to_seed"]
    return "\n".join(
        [
            f"{figures['photographs']} photographs of {figures['megapixels']:.2f} megapixels on average, medians of "
            f"{figures['rounds']} rounds, {figures['cores']} cores ({figures['machine']}), {figures['runtime']}.",
            "",
            "| | photographs/s | ms per photograph | core-ms per photograph |",
            "|---|---:|---:|---:|",
            *rows,
            "",
            f"The limit, from (b) and (c): {figures['limit_photos_per_s']:.2f} photographs/s. "
            f"(d) reaches {reached:.2f} of it, and is {faster:.1f} times as fast as (a).",
        ]
    )
