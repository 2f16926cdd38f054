"""A model version in memory, and the immutable folder that it is kept in."""

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from core.checkpoints.metadata import METADATA_NAME, ModelMetadata, read_metadata, read_weights
from core.errors import CheckpointError
from core.machine import fsync


@dataclass(frozen=True)
class PreparedModel:
    """A version that can be stored.

    Args:
        metadata: what its model.json will say.
        weights: the bytes of its safetensors file, in the precision of the file they came from.
        left_out: the names of what was in that file beside the generator's weights.
        card: Markdown for people.
    """

    metadata: ModelMetadata
    weights: bytes
    left_out: tuple[str, ...] = ()
    card: str = ""

    def metadata_json(self) -> bytes:
        """The content of its model.json."""
        return self.metadata.model_dump_json(indent=2).encode() + b"\n"

    def store(self, folder_of_versions: Path) -> Path:
        """Make the version's folder: written aside, fsynced, renamed. Doing it again changes nothing.

        Raises:
            CheckpointError: version_reused (other weights have that name); damaged_weights, bad_metadata (of the folder
                that is there).
            OSError: the folder cannot be written.
        """
        folder = folder_of_versions / self.metadata.version
        if not folder.exists() and self._publish(folder):
            return folder
        self._check_same(folder)
        return folder

    def _publish(self, folder: Path) -> bool:
        """Write the folder; False where another process was faster."""
        aside = folder.with_name(f".{folder.name}-{secrets.token_hex(8)}")
        aside.mkdir(parents=True)
        try:
            _write_durably(aside / self.metadata.weights, self.weights)
            _write_durably(aside / METADATA_NAME, self.metadata_json())
            fsync(aside)
            try:
                aside.rename(folder)
            except OSError:
                if folder.exists():
                    return False
                raise
            fsync(folder.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return True

    def _check_same(self, folder: Path) -> None:
        if read_metadata(folder).sha256 != self.metadata.sha256:
            message = f"Version {self.metadata.version} is taken by other weights; choose another name."
            raise CheckpointError("version_reused", message)
        read_weights(folder, self.metadata)


def _write_durably(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    fsync(path)
