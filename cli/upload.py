"""What is sent for a person's INPUT: an archive or a picture as it is, a folder or several files as one TAR."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from cli.tar_stream import PIECE_BYTES, Entry, entry_of, find_files, tar_pieces, tar_size
from core.archives import archive_kind
from core.errors import InputError


@dataclass(frozen=True)
class Upload:
    """One request body: its file name and media type, its exact size in bytes, and its bytes, as often as asked for.

    `is_picture` tells that it is one file by itself and no archive; `names` are the paths of its files as far as they
    are known without reading an archive, and `originals` the resolved paths of the files that it is made from.
    """

    filename: str
    name: str
    media_type: str
    size_bytes: int
    pieces: Callable[[], Iterator[bytes]]
    is_picture: bool = False
    names: tuple[str, ...] = ()
    originals: frozenset[Path] = frozenset()


def plan_upload(inputs: Sequence[Path], output: Path) -> Upload:
    """The upload for all inputs together; nothing but names and sizes is read yet.

    Raises:
        click.UsageError: an archive among several inputs.
        InputError: `no_files`, `unreadable_file`.
    """
    if len(inputs) == 1:
        (only,) = inputs
        return _tar(find_files(only, [output]), _name(only)) if only.is_dir() else _single(only)
    entries: list[Entry] = []
    for path, name in zip(inputs, _names_apart(inputs), strict=True):
        if path.is_dir():
            found = find_files(path, [output])
            entries += [Entry(one.path, f"{name}/{one.name}", one.size_bytes, one.modified_at) for one in found]
        elif _is_archive(path):
            raise click.UsageError(f"{path} is an archive; give archives one at a time.")
        else:
            entries.append(entry_of(path, name))
    return _tar(entries, f"{_name(inputs[0])} and {len(inputs) - 1} more")


def _single(path: Path) -> Upload:
    entry = entry_of(path, path.name)

    def pieces() -> Iterator[bytes]:
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece

    is_picture = not _is_archive(path)
    return Upload(
        filename=_name(path),
        name=_name(path),
        media_type="application/octet-stream",
        size_bytes=entry.size_bytes,
        pieces=pieces,
        is_picture=is_picture,
        names=(path.name,) if is_picture else (),
        originals=frozenset({path.resolve()}),
    )


def _tar(entries: Sequence[Entry], name: str) -> Upload:
    if not entries:
        raise InputError("no_files", f"There is no file in {name}.")
    return Upload(
        filename=f"{name}.tar",
        name=name,
        media_type="application/x-tar",
        size_bytes=tar_size(entries),
        pieces=lambda: tar_pieces(entries),
        names=tuple(entry.name for entry in entries),
        originals=frozenset(entry.path.resolve() for entry in entries),
    )


def _is_archive(path: Path) -> bool:
    entry_of(path, path.name)
    with path.open("rb") as file:
        return archive_kind(file, path.name) is not None


def _name(path: Path) -> str:
    """A path's last part for people and URLs, whatever bytes the file system has."""
    return os.fsencode(path.resolve().name if path.name in ("", ".", "..") else path.name).decode(errors="replace")


def _names_apart(inputs: Sequence[Path]) -> list[str]:
    """The inputs' own names, or their paths below what they have in common where two names are equal."""
    paths = [path.resolve() for path in inputs]
    names = [path.name for path in paths]
    if len(set(names)) == len(names):
        return names
    common = os.path.commonpath([path.parent for path in paths])
    return [path.relative_to(common).as_posix() for path in paths]
