"""Where results go: into a ZIP, into a folder, or into one picture file."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import click

from core.errors import InputError

PICTURE_KINDS = ({".jpg", ".jpeg", ".jpe"}, {".png"}, {".tif", ".tiff"})


class OutputKind(StrEnum):
    """What OUT is to be."""

    ZIP = "zip"
    FOLDER = "folder"
    PICTURE = "picture"


@dataclass(frozen=True)
class Output:
    """OUT, understood. An existing file is replaced only when `overwrite` says so."""

    kind: OutputKind
    path: Path
    overwrite: bool = False

    def check_free(self, names: Sequence[str], originals: Collection[Path] = ()) -> None:
        """Raise before any work is done when OUT stands in the way of the results.

        Args:
            names: the paths that the results will have below a folder, as far as they are known.
            originals: the resolved paths of the files that were given; they are never written over, asked for or not.

        Raises:
            InputError: `file_exists`, `not_a_folder`, `would_replace_original`.
        """
        if self.kind is OutputKind.FOLDER:
            if self.path.exists() and not self.path.is_dir():
                raise InputError("not_a_folder", f"{self.path} is a file, not a folder.")
            targets = [self.path / name for name in names]
        else:
            targets = [self.path]
        existing = [target for target in targets if target.exists()]
        for target in existing:
            if target.resolve() in originals:
                raise InputError("would_replace_original", f"{target} is an original; the results need another place.")
        if existing and not self.overwrite:
            more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
            raise InputError("file_exists", f"Files exist already: {existing[0]}{more}. --overwrite replaces them.")

    def prepare(self) -> None:
        """Make the folders that the results go to."""
        folder = self.path if self.kind is OutputKind.FOLDER else self.path.parent
        folder.mkdir(parents=True, exist_ok=True)


def choose_output(out: str, picture_suffix: str | None, overwrite: bool) -> Output:
    """Tell from OUT's look what it is to be.

    Args:
        out: as the person wrote it.
        picture_suffix: the suffix of the only input if that is one picture by itself, else None.
        overwrite: whether existing files may be replaced.

    Raises:
        click.BadParameter: when OUT cannot hold the results.
    """
    path = Path(out)
    suffix = path.suffix.lower()
    if path.is_dir() or out.endswith(os.sep):
        return Output(OutputKind.FOLDER, path, overwrite)
    if suffix == ".zip":
        return Output(OutputKind.ZIP, path, overwrite)
    if picture_suffix is not None and any(suffix in kind for kind in PICTURE_KINDS):
        if not same_format(suffix, picture_suffix):
            raise click.BadParameter(_wrong_format(path, picture_suffix), param_hint="'-o'")
        return Output(OutputKind.PICTURE, path, overwrite)
    if not suffix:
        return Output(OutputKind.FOLDER, path, overwrite)
    wanted = "a .zip, a folder, or a picture's name" if picture_suffix is not None else "a .zip or a folder"
    raise click.BadParameter(f"{out} should be {wanted} (a folder's name ends in {os.sep}).", param_hint="'-o'")


def same_format(suffix: str, other: str) -> bool:
    """Whether two suffixes stand for the same picture format; one that is unknown may stand for any."""
    kind = next((kind for kind in PICTURE_KINDS if other.lower() in kind), None)
    return kind is None or suffix.lower() in kind


def check_picture_format(output: Output, result_path: str) -> None:
    """Raise InputError (`wrong_suffix`) unless the result's format is what OUT's suffix says."""
    suffix = Path(result_path).suffix
    if not same_format(output.path.suffix, suffix):
        raise InputError("wrong_suffix", _wrong_format(output.path, suffix))


def _wrong_format(path: Path, suffix: str) -> str:
    return f"The result keeps its original's format, {suffix}: {path.name} should end so."
