"""How fast batches are prepared, against how fast they are trained on: the model must never wait for them.

    python -m benchmarks.loading FOLDER --out benchmarks/results/loading

FOLDER may hold archives too. For each size of crops: crops per second that the loader makes by itself, those that one
training step of the generator takes, and the share of time that training waits when both run together. The training
step is that of `gray2hue train`, on CUDA where there is one.
"""

import argparse
import tempfile
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import torch

from benchmarks.common import Row, report
from core.checkpoints import read_metadata
from core.settings import SOURCE_ROOT
from core.training.config import AugmentationConfig, StageConfig, parse_config
from core.training.data import Batches, PreparedPhotos, TensorBatch
from core.training.devices import choose_device, computes_half, keep_freed_memory, loaders
from core.training.learner import Learner
from core.training.sources import find_photos

SIZES_PX = (64, 128, 256)
BATCHES = 40
"""That the loader makes by itself."""


def arguments() -> argparse.Namespace:
    """What to load, how much of it, and where the results go."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="color photographs, loose or in archives")
    parser.add_argument("--count", type=int, default=500, help="photographs at most")
    parser.add_argument("--size-px", type=int, nargs="+", default=SIZES_PX, help="edges of the crops")
    parser.add_argument("--steps", type=int, default=12, help="training steps per size")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--workers", type=int, help="that load; by default as many as `gray2hue train` takes")
    parser.add_argument("--out", type=Path, help="results as PATH.json and PATH.md")
    return parser.parse_args()


class Training:
    """Steps of the generator alone, without anything around them."""

    def __init__(self, stage: StageConfig) -> None:
        config = parse_config("default", {})
        self.device = choose_device("auto")
        architecture = read_metadata(SOURCE_ROOT / "models").architecture
        self._learner = Learner(config, architecture, None, self.device, computes_half(config.precision, self.device))
        self._stage = stage
        self._learner.begin(stage)

    def run(self, batches: Iterable[TensorBatch]) -> float:
        """Train on all of the batches; seconds that it took, the loading included."""
        begin = time.perf_counter()
        for lightness, real_ab in batches:
            self._learner.update(self._stage.kind, self._stage.learning_rate, lightness, real_ab)
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin


def measure(photos: PreparedPhotos, size_px: int, options: argparse.Namespace) -> Row:
    """One size of crops."""
    stage = StageConfig(kind="l1", size_px=size_px, steps=1, batch_size=options.batch_size, learning_rate=1e-4)
    training = Training(stage)
    workers, apart = options.workers or loaders(training.device), training.device == "cuda"
    batches = Batches(photos, size_px, options.batch_size, 0, AugmentationConfig(), workers, apart=apart)
    batches.batch(0)
    begin = time.perf_counter()
    made = list(batches.stream(0, BATCHES))
    loaded_s = time.perf_counter() - begin
    training.run(made[:2])
    trained_s = training.run(made[i % BATCHES] for i in range(options.steps))
    batches.waited_s = 0
    together_s = training.run(batches.stream(0, options.steps))
    loads = BATCHES * options.batch_size / loaded_s
    trains = options.steps * options.batch_size / trained_s
    return {
        "size px": size_px,
        "loading workers": workers,
        "crops/s loaded": loads,
        "crops/s trained": trains,
        "loading is faster by": loads / trains,
        "share of time waited": batches.waited_s / together_s,
        "device": training.device,
    }


def main() -> None:
    """See the module."""
    options = arguments()
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        photos = PreparedPhotos.build(Path(folder), islice(find_photos([options.folder]), options.count), 384)
        prepared = sum(photos.counts.values()) / (time.perf_counter() - begin)
        rows = [measure(photos, size_px, options) for size_px in options.size_px]
    notes = [f"Preparing (once: decoding, filtering, shrinking) took {1e3 / prepared:.1f} ms per photograph."]
    report("Loading batches against training on them", rows, options.out, notes)


if __name__ == "__main__":
    main()
