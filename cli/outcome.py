"""How a job came out: fetching its results, and telling what is missing."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cli.api import JobView
from cli.client import Client
from cli.options import note
from cli.output import Output, OutputKind, check_picture_format
from cli.unpack import unpack
from core.errors import InputError

OnGot = Callable[[int, int | None], None]
LEFT_AS_THEY_ARE = frozenset({"already_color", "no_tones"})
WARNINGS = {"little_color": "the model found little color in it"}


def fetch_results(client: Client, job: JobView, output: Output, on_got: OnGot) -> None:
    """Bring a job's results to where they belong: written aside, complete, then renamed.

    Raises:
        InputError: `file_exists`, `wrong_suffix`, `not_one_picture`, `unsafe_path`, `damaged_download`.
    """
    output.prepare()
    folder = output.path if output.kind is OutputKind.FOLDER else output.path.parent
    aside = folder / f".gray2hue-{job.id[:12]}.part"
    try:
        client.download(_source(client, job, output), aside, on_got)
        if output.kind is OutputKind.FOLDER:
            unpack(aside, output.path, output.overwrite, job.id[:8])
        else:
            _publish(aside, output)
    finally:
        aside.unlink(missing_ok=True)


def _source(client: Client, job: JobView, output: Output) -> str:
    if output.kind is not OutputKind.PICTURE:
        return f"/api/v1/jobs/{job.id}/results.zip"
    done = list(client.photos(job.id, ("done",)))
    if len(done) != 1:
        raise InputError("not_one_picture", f"{job.name} holds {len(done)} pictures; OUT has to be a folder or a .zip.")
    check_picture_format(output, done[0]["result_path"])
    return f"/api/v1/jobs/{job.id}/photos/{done[0]['id']}/result"


def _publish(aside: Path, output: Output) -> None:
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    output.check_free(())
    aside.replace(output.path)


def describe_warning(photo: Mapping[str, Any]) -> str:
    """A photo that came out, and what is to be said about it."""
    code = str(photo["warning"])
    return f"{photo['path']}: {WARNINGS.get(code, 'it came out with a warning')} [{code}]"


def describe_photo(photo: Mapping[str, Any]) -> str:
    """A photo that did not come out: its path, why, and the code."""
    reason = f"{photo['message'] or photo['state']} [{photo['code'] or photo['state']}]"
    return reason if reason.startswith(photo["path"]) else f"{photo['path']}: {reason}"


def tell_outcome(client: Client, job: JobView, output: Output) -> int:
    """List what is to be looked at, sum up, and give the exit code: 0 only if nothing failed or was canceled.

    Photographs that were left as they are, since they are in color already or have no tones, are listed, but are no
    failure.
    """
    for photo in client.photos(job.id, ("failed", "canceled")):
        note(describe_photo(photo))
    left = _tell_left(client, job)
    if job.raw.get("warned"):
        for photo in client.photos(job.id, warned=True):
            note(describe_warning(photo))
    if job.state == "expired":
        note(f"{job.name} was deleted, with its originals and results.")
    elif job.message:
        note(f"{job.message} [{job.code}]")
    where = f" -> {output.path}" if job.counts["done"] and job.state != "expired" else ""
    note(f"{job.name}: {_summary(job.counts, left)}{where}")
    return 0 if job.all_came_out else 1


def _tell_left(client: Client, job: JobView) -> int:
    """List the photographs that were left as they are, and give their number."""
    if not job.counts["skipped"]:
        return 0
    left = 0
    for photo in client.photos(job.id, ("skipped",)):
        if photo["code"] in LEFT_AS_THEY_ARE:
            note(describe_photo(photo))
            left += 1
    return left


def _summary(counts: Mapping[str, int], left: int) -> str:
    parts = [f"{counts['done']} colorized"]
    parts += [f"{counts[state]} {state}" for state in ("failed", "canceled") if counts[state]]
    if left:
        parts.append(f"{left} left as {'it is' if left == 1 else 'they are'}")
    if counts["skipped"] > left:
        parts.append(f"{counts['skipped'] - left} skipped as no photographs")
    return ", ".join(parts)
