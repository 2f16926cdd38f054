"""Where a model version's weights are."""

import re
from pathlib import Path

from core.checkpoints.metadata import METADATA_NAME, VERSION_PATTERN, read_metadata
from core.errors import CheckpointError


def find_model(version: str, shipped_dir: Path, imported_dir: Path) -> Path:
    """The folder that holds a version's model.json and weights.

    Only folders are looked at: whoever colorizes on several machines shares imported_dir among them, or copies it.

    Args:
        version: as jobs name it.
        shipped_dir: the model that comes with the program; it is whichever version its metadata says. Those that came
            with earlier programs lie in folders in it, by their names, so that what was begun with them goes on.
        imported_dir: a folder per imported version, by its name.

    Raises:
        CheckpointError: model_version_missing; as read_metadata says, when a model.json cannot be read.
    """
    if read_metadata(shipped_dir).version == version:
        return shipped_dir
    if re.fullmatch(VERSION_PATTERN, version):
        for folder in (shipped_dir / version, imported_dir / version):
            if (folder / METADATA_NAME).is_file() and read_metadata(folder).version == version:
                return folder
    raise CheckpointError("model_version_missing", f"Model version {version} is neither shipped nor in {imported_dir}.")
