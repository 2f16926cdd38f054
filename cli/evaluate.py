"""`gray2hue evaluate`: what models score on color photographs, beside gray."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import make_url
from sqlalchemy.exc import DatabaseError

from cli.environment import read_settings
from cli.options import note
from core import registry
from core.checkpoints import METADATA_NAME, find_model, read_metadata
from core.database import Database
from core.errors import InputError, SetupError
from core.model_store import provide_model
from core.settings import Settings
from core.storage import LocalStorage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


Row = dict[str, Any]

COLUMNS = {
    "CF": ("cf", ".1f"),
    "dCF": ("dcf", ".1f"),
    "PSNR": ("psnr", ".2f"),
    "SSIM": ("ssim", ".4f"),
    "dE00": ("de00", ".2f"),
    "AuC": ("auc", ".4f"),
    "AuC BALANCED": ("auc_balanced", ".4f"),
}
NO_NUMBERS: Row = dict.fromkeys(name for name, _ in COLUMNS.values())
"""What so few photographs do not define is null."""


@click.command()
@click.argument("folder", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FOLDER...")
@click.option("--model", metavar="VERSION|FOLDER", help="A model to measure beside the one in use.")
@click.option(
    "--network-edge-px",
    type=click.IntRange(64, 512),
    metavar="PIXELS",
    help="Short side of what the network sees. By default what each model is best given.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="NUMBER", help="Only so many photographs, the first ones.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object, the model's numbers at its top.")
def evaluate(
    folder: tuple[Path, ...], model: str | None, network_edge_px: int | None, limit: int | None, as_json: bool
) -> None:
    """Measure the model in use, and another one, on the color photographs of folders, archives and single files.

    Each photograph is made gray, colorized and compared, in its middle at 256 x 256 pixels. CF is the mean colorfulness
    of the results and dCF how far that is from the photographs' own; dE00 the mean CIEDE2000; AuC the share of pixels
    whose (a, b) is within t of the truth, averaged over t = 0..150, for all pixels and with every color counting the
    same. PSNR, SSIM and AuC are higher, dCF and dE00 lower for better results; all but dCF reward gray.
    """
    settings = read_settings()
    photographs = Photographs(folder, limit)
    rows = [_gray_row(photographs)]
    rows += [_model_row(settings, path, photographs, network_edge_px) for path in _models(settings, model)]
    if as_json:
        click.echo(json.dumps(rows[-1] | {"left_out": dict(photographs.left_out), "rows": rows}, indent=2))
    else:
        _print(rows, photographs.left_out)


class Photographs:
    """The center crops of all photographs under some paths, read anew each time they are gone through."""

    def __init__(self, paths: Sequence[Path], limit: int | None) -> None:
        self.left_out: Counter[str] = Counter()
        self._paths = paths
        self._limit = limit

    def __iter__(self) -> "Iterator[NDArray[np.uint8]]":
        return islice(self._crops(), self._limit)

    def _crops(self) -> "Iterator[NDArray[np.uint8]]":
        from core.training.evaluation import center_crop
        from core.training.sources import decode_photo, find_photos

        self.left_out.clear()
        for photo in find_photos(self._paths):
            try:
                yield center_crop(decode_photo(photo.read()))
            except InputError as error:
                self.left_out[error.code] += 1


def _models(settings: Settings, wanted: str | None) -> list[Path]:
    """The folders of the model in use and of the one that was asked for; one where these are the same."""
    folders = [_folder(settings, None)]
    if wanted is not None:
        asked = Path(wanted) if (Path(wanted) / METADATA_NAME).is_file() else _folder(settings, wanted)
        if read_metadata(asked).sha256 != read_metadata(folders[0]).sha256:
            folders.append(asked)
    return folders


def _folder(settings: Settings, version: str | None) -> Path:
    """A version's folder, or that of the one in use: the registry's, where there is one, else the shipped model."""
    shipped = settings.models_dir
    file = make_url(settings.database_url)
    # SQLite would make the file that it does not find.
    if file.get_backend_name() == "sqlite" and not Path(file.database or "").is_file():
        return shipped if version is None else find_model(version, shipped, settings.imported_models_dir)
    database = Database(settings.database_url)
    try:
        with database.read() as session:
            known = registry.active_version(session) if version is None else registry.get_version(session, version)
            storage = LocalStorage(settings.storage_dir)
            return provide_model(storage, known, shipped, settings.imported_models_dir)
    except DatabaseError as error:
        raise SetupError("not_migrated", "The database is not ready; run `gray2hue migrate` first.") from error
    finally:
        database.dispose()


def _gray_row(photographs: Photographs) -> Row:
    from core.training.evaluation import evaluate as score
    from core.training.evaluation import gray

    scores = score(gray, photographs, threads=2)
    if not len(scores):
        faults = ", ".join(f"{code}: {count}" for code, count in photographs.left_out.items()) or "no files"
        raise InputError("no_photographs", f"There is no photograph that can be read ({faults}).")
    note(f"{len(scores)} photographs.")
    return NO_NUMBERS | {"model": "gray input"} | scores.summary()


def _model_row(settings: Settings, folder: Path, photographs: Photographs, network_edge_px: int | None) -> Row:
    from core.runtimes import choose_runtime
    from core.training.evaluation import evaluate as score
    from core.training.evaluation import model_predictor

    metadata = read_metadata(folder)
    edge_px = network_edge_px or metadata.network_edge_px
    note(f"{metadata.version} ...")
    runtime = choose_runtime(folder, settings.runtimes_dir, settings.device, settings.runtime)
    try:
        scores = score(model_predictor(runtime, edge_px), photographs, threads=runtime.concurrency)
    finally:
        runtime.close()
    return (
        NO_NUMBERS | {"model": metadata.version, "network_edge_px": edge_px, "runtime": runtime.name} | scores.summary()
    )


def _print(rows: Sequence[Row], left_out: Counter[str]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("MODEL", no_wrap=True, overflow="ellipsis")
    for heading in COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        values = [(row[name], form) for name, form in COLUMNS.values()]
        table.add_row(row["model"], *("-" if value is None else f"{value:{form}}" for value, form in values))
    Console(markup=False, highlight=False).print(table)
    click.echo(f"{rows[0]['photographs']:.0f} photographs, whose own CF is {rows[0]['cf_truth']:.1f}.")
    for code, count in left_out.items():
        click.echo(f"Left out, {code}: {count}.")
