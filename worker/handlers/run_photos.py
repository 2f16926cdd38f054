"""A run's photographs, fetched from the storage, compared with their records and made ready on this machine."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from core.errors import ImageError
from core.storage import Storage
from core.training.config import TrainingConfig
from core.training.preparing import PreparedPhotos
from core.training.sources import SourcePhoto
from core.training.watching import TrainingError
from core.training_runs import MaterialPhoto

CROP_ROOM = 1.5
"""Photographs are kept with a short side of so many times the largest crop."""

SHOWN_EDGE_PX = 384
"""Short side of validation photographs: people look at some of them."""

COMPARED_EDGE_PX = 256
"""Short side of the photographs that models are compared by; of each the square in the middle counts."""

MOST_COMPARED = 500
"""Of a set; more would hardly narrow the intervals and take long on a CPU."""

MOST_NAMED = 5
"""Of the photographs that an error is about."""

Heeded = Callable[[Iterable[SourcePhoto]], Iterable[SourcePhoto]]


class RunPhotos:
    """The sets of a run, each in a folder of its own; what was made ready before is not done again.

    Args:
        storage: where the photographs are.
        folder: of the run, on this machine.
        heeded: passes the photographs on until it is time to stop.
        usable: tells of keys which of them are those of photographs that are usable still.

    Each set is made as PreparedPhotos.build says, and raises its errors. TrainingError (`damaged_material`): one of
    the set is not stored as it came in, and was not withdrawn.
    """

    def __init__(
        self, storage: Storage, folder: Path, heeded: Heeded, usable: Callable[[Sequence[str]], Collection[str]]
    ) -> None:
        self._storage = storage
        self._folder = folder
        self._heeded = heeded
        self._usable = usable

    def to_train_on(self, photos: Sequence[MaterialPhoto], config: TrainingConfig) -> PreparedPhotos:
        """Photographs for random crops."""
        largest_px = max(stage.size_px for stage in config.stages)
        return self._prepared("train", photos, round(CROP_ROOM * largest_px))

    def to_validate(self, photos: Sequence[MaterialPhoto]) -> PreparedPhotos:
        """Photographs that a checkpoint is chosen by."""
        return self._prepared("validation", photos, SHOWN_EDGE_PX)

    def to_compare(self, name: str, photos: Sequence[MaterialPhoto]) -> PreparedPhotos:
        """A set that models are compared by."""
        return self._prepared(name, photos[:MOST_COMPARED], COMPARED_EDGE_PX)

    def _prepared(self, name: str, photos: Sequence[MaterialPhoto], edge_px: int) -> PreparedPhotos:
        sources = (SourcePhoto(photo.path, self._reader(photo)) for photo in photos)
        # All of them were judged when they came in; what a person approved is not judged at all.
        prepared = PreparedPhotos.build(self._folder / name, self._heeded(sources), edge_px, filtered=False)
        self._check([photo for photo, entry in zip(photos, prepared.entries, strict=True) if not entry.sha256])
        return prepared

    def _reader(self, photo: MaterialPhoto) -> Callable[[], bytes]:
        def read() -> bytes:
            with self._storage.open(photo.key) as stream:
                content = stream.read()
            if hashlib.sha256(content).hexdigest() != photo.sha256:
                raise ImageError("damaged_material", f"{photo.path} is not what came in.")
            return content

        return read

    def _check(self, unread: Sequence[MaterialPhoto]) -> None:
        """Of what could not be read, let pass what was withdrawn: its bytes are deleted."""
        usable = self._usable([photo.key for photo in unread])
        damaged = [photo.path for photo in unread if photo.key in usable]
        if damaged:
            named = ", ".join(damaged[:MOST_NAMED]) + (", ..." if len(damaged) > MOST_NAMED else "")
            message = f"{len(damaged)} photographs of the material are missing or damaged in the storage: {named}."
            raise TrainingError("damaged_material", message)
