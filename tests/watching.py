"""A Watcher for tests, photographs to train on, and a run that is small enough for them."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from core.training.config import NO_AUGMENTATION, StageConfig, TrainingConfig
from core.training.data import PreparedPhotos, SourcePhoto

NAMES = ("astronaut", "chelsea", "coffee", "rocket")


def pictures(edge_px=96):
    """Photographs that scikit-image carries, uint8 (H, W, 3), shrunk."""
    shrunk = []
    for name in NAMES:
        image = Image.fromarray(getattr(data, name)())
        image.thumbnail((edge_px, edge_px))
        shrunk.append(np.asarray(image))
    return shrunk


def prepared(folder: Path) -> PreparedPhotos:
    sources = []
    for name, picture in zip(NAMES, pictures(), strict=True):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        sources.append(SourcePhoto(name, buffer.getvalue))
    return PreparedPhotos.build(folder, sources, 64, threads=1, filtered=False)


def small_config(**changes) -> TrainingConfig:
    """Three steps of the generator alone, three against the discriminator, at 32 pixels; nothing is validated."""
    stages = (
        StageConfig(kind="l1", size_px=32, steps=3, batch_size=2, learning_rate=1e-3),
        StageConfig(kind="adversarial", size_px=32, steps=3, batch_size=2, learning_rate=1e-4),
    )
    plain = {
        "recipe": "quick",
        "stages": stages,
        "critic_warmup_steps": 1,
        "ema_decay": 0.9,
        "augmentation": NO_AUGMENTATION,
        "checkpoint_every_steps": 100,
        "validate_every_steps": 100,
        "sample_count": 1,
        "device": "cpu",
    }
    return TrainingConfig(**{**plain, **changes})


class RecordingWatcher:
    """Keeps what it is told; wishes to stop after `stop_after` steps."""

    def __init__(self, stop_after=None):
        self.points = {}
        self.samples = {}
        self.yielded = 0
        self.stop_after = stop_after

    def progress(self, step, steps_total, measured):
        self.points[step] = measured

    def sample(self, step, number, kind, jpeg):
        self.samples[step, number, kind] = jpeg

    def should_stop(self):
        return self.stop_after is not None and max(self.points, default=0) >= self.stop_after

    def yield_device(self):
        self.yielded += 1


def resumable_config() -> TrainingConfig:
    """small_config with all parts that have a state, saved in the middle of a stage."""
    return small_config(
        class_weight=0.02, feature_matching_weight=1.0, checkpoint_every_steps=2, validate_every_steps=3, sample_count=0
    )
