"""The photographs of a local training run: those to train on, and those to choose the checkpoint by."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import InputError, StateError
from core.training.config import TrainingConfig
from core.training.split import is_trained_on

if TYPE_CHECKING:
    from core.training.data import PreparedPhotos
    from core.training.sources import SourcePhoto

RUN_NAME = "run"
VALIDATION_EDGE_PX = 384
CROP_ROOM = 1.5
"""Photographs are kept with a short side of so many times the largest crop."""


def prepare(
    paths: Sequence[Path],
    validation: Sequence[Path],
    config: TrainingConfig,
    out: Path,
    is_begun: bool,
    *,
    on_all: bool = False,
) -> "tuple[PreparedPhotos, PreparedPhotos]":
    """What to train on and what to validate with, each decoded once and kept in the run's folder.

    Args:
        paths: of the photographs; those that a stack would compare models by are not trained on.
        validation: of the ones to validate with, which are not trained on either. Without any, it is those of `paths`
            that are not trained on.
        config: of the run.
        out: the run's folder.
        is_begun: whether it holds a run, whose photographs are then left as they are.
        on_all: whether those of `paths` that a stack would compare models by are trained on as well.

    Raises:
        CheckpointError: `other_photographs` or `other_validation`: these are not the ones of the run in the folder.
        InputError: as find_photos says.
        OSError: the folder cannot be written.
    """
    from core.training.data import PreparedPhotos
    from core.training.sources import find_photos

    crop_px = max(stage.size_px for stage in config.stages)
    with _refused_as("validation" if validation else "photos", out):
        chosen = find_photos(validation) if validation else held_out(find_photos(paths))
        folder = out / "validation"
        seen = PreparedPhotos.build(folder, chosen, VALIDATION_EDGE_PX, filtered=not validation, is_fixed=is_begun)
    with _refused_as("photos", out):
        rest = to_train_on(find_photos(paths), {entry.sha256 for entry in seen.entries}, on_all=on_all)
        photos = PreparedPhotos.build(out / "prepared", rest, round(CROP_ROOM * crop_px), is_fixed=is_begun)
    return photos, seen


@contextmanager
def _refused_as(part: str, out: Path) -> Iterator[None]:
    """Tell of other photographs as the run's state would."""
    from core.training.state import refusal

    try:
        yield
    except StateError as error:
        raise refusal(out / RUN_NAME, part) from error


def held_out(photos: "Iterable[SourcePhoto]") -> "Iterator[SourcePhoto]":
    """Those that are never trained on. What cannot be read is not among them; to_train_on has it, to be counted."""
    from core.training.sources import SourcePhoto

    for photo in photos:
        try:
            content = photo.read()
        except (InputError, OSError):
            continue
        if not is_trained_on(hashlib.sha256(content).hexdigest()):
            yield SourcePhoto(photo.name, partial(bytes, content))


def to_train_on(
    photos: "Iterable[SourcePhoto]", kept_back: Collection[str], *, on_all: bool = False
) -> "Iterator[SourcePhoto]":
    """All of them, but to read one that is not to be trained on raises InputError, `held_out`.

    Args:
        photos: trained on and others.
        kept_back: SHA-256 of the ones that are validated with.
        on_all: whether only these are not.
    """
    from core.training.sources import SourcePhoto

    for photo in photos:
        yield SourcePhoto(photo.name, partial(_content, photo, kept_back, on_all))


def _content(photo: "SourcePhoto", kept_back: Collection[str], on_all: bool) -> bytes:
    content = photo.read()
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 in kept_back or not (on_all or is_trained_on(sha256)):
        raise InputError("held_out", f"{photo.name} is not to be trained on.")
    return content


def counted(photos: "PreparedPhotos") -> str:
    """How many were taken, and how many left out for which reason, in words."""
    counts = photos.counts
    left_out = ", ".join(f"{count} {code}" for code, count in sorted(counts.items()) if code != "taken")
    return f"{counts['taken']} photographs" + (f" (left out: {left_out})" if left_out else "")
