"""Where results go: into a ZIP, into a folder, or into one picture file."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

import click

from core.errors import InputError

PICTURE_SUFFIXES = {
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "png": (".png",),
    "tiff": (".tif", ".tiff"),
    "webp": (".webp",),
    "jpeg2000": (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
    "avif": (".avif",),
    "bmp": (".bmp", ".dib"),
    "heic": (".heic", ".heif", ".hif"),
}
"""Suffixes by format, the usual one first; those before bmp are formats that can be asked for."""
CAN_BE_ASKED_FOR = ("jpeg", "png", "tiff", "webp", "jpeg2000", "avif")


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
        picture_suffix: the suffix of the only result if that is one picture by itself, else None.
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
    if picture_suffix is not None and format_of(suffix):
        if not same_format(suffix, picture_suffix):
            raise click.BadParameter(_wrong_format(path, picture_suffix), param_hint="'-o'")
        return Output(OutputKind.PICTURE, path, overwrite)
    if not suffix:
        return Output(OutputKind.FOLDER, path, overwrite)
    wanted = "a .zip, a folder, or a picture's name" if picture_suffix is not None else "a .zip or a folder"
    raise click.BadParameter(f"{out} should be {wanted} (a folder's name ends in {os.sep}).", param_hint="'-o'")


def format_of(suffix: str) -> str:
    """The picture format that a suffix stands for, "" for none."""
    return next((name for name, suffixes in PICTURE_SUFFIXES.items() if suffix.lower() in suffixes), "")


def wished_format(out: str, picture_suffix: str) -> str:
    """The format that OUT's suffix asks for when one picture is colorized: "same" unless it is another one.

    Args:
        out: as the person wrote it.
        picture_suffix: the original's.
    """
    wished = format_of(Path(out).suffix)
    is_other = wished in CAN_BE_ASKED_FOR and wished != format_of(picture_suffix) and not Path(out).is_dir()
    return wished if is_other else "same"


def result_suffix(original_suffix: str, output_format: str) -> str:
    """The suffix that a result has, by its original's and the format asked for."""
    fits = output_format == "same" or original_suffix.lower() in PICTURE_SUFFIXES[output_format]
    return original_suffix if fits else PICTURE_SUFFIXES[output_format][0]


def result_names(names: Sequence[str], output_format: str) -> list[str]:
    """Where results of pictures of these names go, as far as names tell."""
    paths = [PurePosixPath(name) for name in names]
    return [
        str(path.with_suffix(result_suffix(path.suffix, output_format))) if format_of(path.suffix) else str(path)
        for path in paths
    ]


def same_format(suffix: str, other: str) -> bool:
    """Whether two suffixes stand for the same picture format; one that is unknown may stand for any."""
    return format_of(other) in ("", format_of(suffix))


def check_picture_format(output: Output, result_path: str) -> None:
    """Raise InputError (`wrong_suffix`) unless the result's format is what OUT's suffix says."""
    suffix = Path(result_path).suffix
    if not same_format(output.path.suffix, suffix):
        raise InputError("wrong_suffix", _wrong_format(output.path, suffix))


def _wrong_format(path: Path, suffix: str) -> str:
    return f"The result is a {suffix} file: {path.name} should end so."
