"""Results from a ZIP into a folder: only below that folder, and never over an existing file unasked."""

import os
import shutil
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from core.errors import InputError

MANIFESTS = ("manifest.csv", "manifest.jsonl")


def unpack(archive: Path, folder: Path, overwrite: bool, manifest_mark: str) -> int:
    """Write every member of the ZIP below `folder` and give their number.

    All names are looked at before the first byte is written. A manifest that would fall on an earlier job's is written
    as manifest-<manifest_mark>.csv beside it.

    Raises:
        InputError: `unsafe_path` for a name that leaves the folder; `file_exists`; `damaged_download`.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            members = [member for member in source.infolist() if not member.is_dir()]
            targets = [_target(member, folder) for member in members]
            if not overwrite:
                targets = [_beside_earlier_manifest(target, folder, manifest_mark) for target in targets]
                _refuse_existing(targets)
            for member, target in zip(members, targets, strict=True):
                _write(source, member, target)
    except zipfile.BadZipFile as error:
        raise InputError("damaged_download", f"The results arrived damaged: {error}") from error
    return len(members)


def _target(member: zipfile.ZipInfo, folder: Path) -> Path:
    name = member.filename
    path = PurePosixPath(name)
    kind = stat.S_IFMT(member.external_attr >> 16)
    parts_are_safe = not path.is_absolute() and path.parts and ".." not in path.parts
    if not parts_are_safe or kind not in (0, stat.S_IFREG) or any(character in name for character in "\\\0"):
        raise InputError("unsafe_path", f"The results hold {name!r}, which is no plain path; nothing was written.")
    target = folder.joinpath(*path.parts)
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise InputError("unsafe_path", f"{target} leads out of {folder} by a link; nothing was written.")
    return target


def _beside_earlier_manifest(target: Path, folder: Path, mark: str) -> Path:
    if target.parent == folder and target.name in MANIFESTS and target.exists():
        return target.with_stem(f"{target.stem}-{mark}")
    return target


def _refuse_existing(targets: Sequence[Path]) -> None:
    existing = [target for target in targets if os.path.lexists(target)]
    if existing:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        message = f"Files exist already: {existing[0]}{more}. Nothing was written; --overwrite replaces them."
        raise InputError("file_exists", message)


def _write(source: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name[:60]}.part")
    try:
        with source.open(member) as incoming, aside.open("wb") as outgoing:
            shutil.copyfileobj(incoming, outgoing, 1 << 20)
            outgoing.flush()
            os.fsync(outgoing.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
