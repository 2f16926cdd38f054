"""Small photographs that scikit-image carries; among them damaged ones, and ones that kill whoever decodes them."""

import io
import random
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image
from skimage import data

NAMES = ("astronaut", "chelsea", "coffee", "rocket", "cat")
EDGE_PX = (96, 160)
VARIANTS = 64
DAMAGED_SHARE = 0.01
DAMAGED, KILLER = "damaged", "killer"
"""What the names of such files begin with."""
KILLER_EDGE_PX = 3464
"""12 megapixels: a second's work or so, time enough to be killed in it."""


@dataclass(frozen=True)
class Archive:
    """An upload: its name, its bytes, how many files it holds."""

    name: str
    content: bytes
    files: int


class Album:
    """Photographs by a random generator.

    Args:
        rng: decides sizes, crops, order and what is damaged.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._sources = [Image.fromarray(np.asarray(getattr(data, name)())).convert("L") for name in NAMES]
        self._good = [self._photograph() for _ in range(VARIANTS)]

    def archives(self, photos: int, jobs: int, killers: int) -> Iterator[Archive]:
        """So many photographs in so many archives of about the same size, killers in the first ones."""
        for number in range(jobs):
            files = [self._file(k) for k in range(photos * number // jobs, photos * (number + 1) // jobs)]
            if number < killers:
                files.insert(self._rng.randrange(len(files)), (f"{KILLER} {number}.png", self._killer()))
            yield Archive(f"job {number:03}.zip", packed(files), len(files))

    def _file(self, number: int) -> tuple[str, bytes]:
        content = self._rng.choice(self._good)
        if self._rng.random() < DAMAGED_SHARE:
            return f"{DAMAGED} {number:06}.jpg", content[: len(content) // 2]
        return f"{number:06}.jpg", content

    def _photograph(self) -> bytes:
        source, edge = self._rng.choice(self._sources), self._rng.randint(*EDGE_PX)
        side = self._rng.randint(edge, min(source.size))
        left, top = (self._rng.randint(0, whole - side) for whole in source.size)
        picture = source.crop((left, top, left + side, top + side)).resize((edge, edge))
        return saved(picture, "JPEG", quality=90)

    def _killer(self) -> bytes:
        return saved(self._sources[0].resize((KILLER_EDGE_PX, KILLER_EDGE_PX)), "PNG", compress_level=1)


def saved(image: Image.Image, file_format: str, **options: int) -> bytes:
    """An image's file."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def packed(files: list[tuple[str, bytes]]) -> bytes:
    """A ZIP's bytes from names and contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()
