"""Batches for training that depend on nothing but the photographs, the seed and the step."""

import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from core.imaging import lab
from core.imaging.arrays import Floats
from core.machine import usable_cores
from core.training.augmentation import age
from core.training.config import AugmentationConfig
from core.training.preparing import PreparedPhotos
from core.training.resampling import resampled
from core.training.sources import SourcePhoto

__all__ = ["Batch", "Batches", "PreparedPhotos", "SourcePhoto", "TensorBatch"]

Batch = tuple[Floats, Floats]
TensorBatch = tuple[Tensor, Tensor]

LEAST_CROP_AREA = 0.35
MOST_CROP_ASPECT = 4 / 3
"""Crops have between this share and all of the largest possible area, and at most this ratio of sides either way."""

CHROMA_SCALE = 110

# Streams of random numbers that must not be the same.
_ORDER, _SAMPLES = 0, 1


class Batches:
    """Random crops of photographs as the network wants them. May be used by several threads at once.

    Every photograph is shown once per epoch, in an order of its own; a batch may hold the end of one epoch and the
    beginning of the next.

    Args:
        photos: at least one.
        size_px: edge of the square crops.
        batch_size: crops per batch.
        seed: of the order, the crops and the aging.
        augmentation: how often lightness is made to look old.
        workers: that prepare batches ahead in `stream`; None for one per core that this process may use.
        apart: whether these are processes, for a GPU that threads under one interpreter's lock cannot keep busy, with
            pinned memory; otherwise threads.
    """

    def __init__(
        self,
        photos: PreparedPhotos,
        size_px: int,
        batch_size: int,
        seed: int,
        augmentation: AugmentationConfig,
        workers: int | None = None,
        *,
        apart: bool = False,
    ) -> None:
        if not len(photos):
            raise ValueError("there are no photographs to make batches of")
        self.waited_s = 0.0
        self._photos = photos
        self._size_px = size_px
        self._batch_size = batch_size
        self._seed = seed
        self._augmentation = augmentation
        self._workers = workers or usable_cores()
        self._apart = apart
        self._order = lru_cache(maxsize=4)(self._order_of_epoch)

    def batch(self, step: int) -> Batch:
        """The batch of a step, always the same one.

        Returns:
            Lightness L/50-1, float32 (N, 1, size, size), aged; and chroma ab/110, float32 (N, 2, size, size), the true
            one.
        """
        lightness = np.empty((self._batch_size, 1, self._size_px, self._size_px), np.float32)
        chroma = np.empty((self._batch_size, 2, self._size_px, self._size_px), np.float32)
        rng = np.random.default_rng((self._seed, _SAMPLES, step))
        first = step * self._batch_size
        for place in range(self._batch_size):
            epoch, number = divmod(first + place, len(self._photos))
            rgb = self._photos.rgb(int(self._order(epoch)[number]))
            values = lab.lab_from_rgb(self._crop(rgb, rng))
            aged = age(np.ascontiguousarray(values[..., 0]), rng, self._augmentation)
            np.subtract(aged / np.float32(50), np.float32(1), out=lightness[place, 0])
            np.divide(np.moveaxis(values[..., 1:], -1, 0), np.float32(CHROMA_SCALE), out=chroma[place])
        return lightness, chroma

    def _crop(self, rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        height, width = rgb.shape[:2]
        area, aspect, down, across, side = rng.random(5)
        ratio = MOST_CROP_ASPECT ** (2 * aspect - 1)
        # The largest box of that ratio inside of the picture, made smaller by its share of the area.
        scale = (LEAST_CROP_AREA + (1 - LEAST_CROP_AREA) * area) ** 0.5
        box_height = min(height, width / ratio) * scale
        box_width = box_height * ratio
        box = ((height - box_height) * down, (width - box_width) * across, box_height, box_width)
        return resampled(rgb, box, self._size_px, self._size_px, mirrored=bool(side < 0.5))

    def _order_of_epoch(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((self._seed, _ORDER, epoch)).permutation(len(self._photos))

    def stream(self, first: int, last: int) -> Iterator[TensorBatch]:
        """The batches of the steps first, first + 1, ... last - 1 as tensors, prepared ahead.

        `waited_s` grows by how long the consumer had to wait for them.
        """
        batches = self._from_processes(first, last) if self._apart else self._from_threads(first, last)
        with closing(batches):
            while True:
                begin = time.perf_counter()
                batch = next(batches, None)
                self.waited_s += time.perf_counter() - begin
                if batch is None:
                    return
                yield batch

    def _from_threads(self, first: int, last: int) -> Generator[TensorBatch]:
        ahead: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(self._workers, "batches") as pool:
            try:
                for step in range(first, last):
                    ahead.append(pool.submit(self.batch, step))
                    if len(ahead) > self._workers + 1:
                        yield _tensors(ahead.popleft().result())
                while ahead:
                    yield _tensors(ahead.popleft().result())
            finally:
                for future in ahead:
                    future.cancel()

    def _from_processes(self, first: int, last: int) -> Generator[TensorBatch]:
        yield from DataLoader(
            _Steps(self),
            batch_size=None,
            sampler=range(first, last),
            num_workers=self._workers,
            # What the loops were compiled to is inherited; the workers never touch the GPU.
            multiprocessing_context="fork",
            pin_memory=torch.cuda.is_available(),
        )


class _Steps(Dataset[Batch]):
    """Batches by their steps, as torch's loader wants them."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __getitem__(self, step: int) -> Batch:
        return self._batches.batch(step)


def _tensors(batch: Batch) -> TensorBatch:
    lightness, chroma = batch
    return torch.from_numpy(lightness), torch.from_numpy(chroma)
