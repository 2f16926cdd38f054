"""`gray2hue train`: from color photographs to a model version, on this machine alone, without a database."""

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.environment import read_settings
from cli.options import changes, note
from cli.signals import Signals
from cli.training_folder import alone_in
from cli.training_photos import RUN_NAME, counted, prepare
from cli.training_report import TrainingReport
from core.checkpoints import CARD_NAME, METADATA_NAME, find_model, read_metadata, write_bundle
from core.machine import fsync
from core.settings import Settings
from core.training.config import RECIPES, TrainingConfig, parse_config
from core.training.watching import TrainingStoppedError

if TYPE_CHECKING:
    from core.training.data import PreparedPhotos
    from core.training.export import TrainedModel

INTERRUPTED = 130
MODEL_NAME = "model"


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The run's folder.")
@click.option("--recipe", default="fine-tune", show_default=True, type=click.Choice(list(RECIPES)), help="What to do.")
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Change an option of the recipe.")
@click.option(
    "--validation",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="Photographs to choose the checkpoint by. By default a fifth of those in PATH.",
)
@click.option(
    "--on-all",
    is_flag=True,
    help="Train also on the fifth of PATH that a stack given it would compare models by. Needs --validation.",
)
@click.option(
    "--parent", metavar="VERSION|FOLDER", help="The model to begin from. By default the one that comes with Gray2Hue."
)
@click.pass_context
def train(
    ctx: click.Context,
    paths: tuple[Path, ...],
    out: Path,
    recipe: str,
    pairs: tuple[str, ...],
    validation: tuple[Path, ...],
    on_all: bool,
    parent: str | None,
) -> None:
    """Train a model on the color photographs of folders, archives and single files.

    Can be stopped with Ctrl-C, or killed; the same command goes on from there. OUT holds config.json, curves.jsonl and
    samples/, in the end also model/ and model.zip, which `gray2hue models import` takes. The recipe "default" begins
    from nothing, the others from the parent. Options are described in docs/training.md.
    """
    if on_all and not validation:
        raise click.UsageError("--on-all leaves none to choose the checkpoint by; name some with --validation.")
    config = parse_config(recipe, changes(pairs))
    parent_dir = _parent_dir(parent, read_settings())
    with alone_in(out):
        is_begun = _is_begun(out, config, parent_dir)
        (out / "config.json").write_text(config.model_dump_json(indent=2) + "\n")
        note("Preparing the photographs. What is done already is not done again.")
        photos, held_out = prepare(paths, validation, config, out, is_begun, on_all=on_all)
        note(f"Training on {counted(photos)}.")
        note(f"Choosing the checkpoint by {counted(held_out)}.")
        try:
            model = _run(config, photos, held_out, out, parent_dir)
        except TrainingStoppedError:
            note("Stopped. The same command goes on from here.")
            ctx.exit(INTERRUPTED)
        _write(model, out)
    click.echo(f"Trained {model.metadata.version}. Take it in with: gray2hue models import {out / MODEL_NAME}.zip")


def _parent_dir(parent: str | None, settings: Settings) -> Path:
    if parent is None:
        return settings.models_dir
    if (Path(parent) / METADATA_NAME).is_file():
        return Path(parent)
    return find_model(parent, settings.models_dir, settings.imported_models_dir)


def _is_begun(out: Path, config: TrainingConfig, parent_dir: Path) -> bool:
    """Whether the folder holds this run already. Refuses another one's before anything in it is written."""
    from core.training.state import is_begun

    parent_sha256 = read_metadata(parent_dir).sha256 if config.from_parent else ""
    return is_begun(out / RUN_NAME, config, parent_sha256)


def _run(
    config: TrainingConfig, photos: "PreparedPhotos", held_out: "PreparedPhotos", out: Path, parent_dir: Path
) -> "TrainedModel":
    from core.training.loop import train as train_model

    validation = [held_out.rgb(number) for number in range(len(held_out))]
    with ExitStack() as stack:
        signals = stack.enter_context(Signals())
        report = stack.enter_context(TrainingReport(out, lambda: signals.stops > 0))
        return train_model(config, photos, validation, out / RUN_NAME, parent_dir, report)


def _write(model: "TrainedModel", out: Path) -> None:
    """The version as a folder and as one file, each whole or not there."""
    prepared = model.prepared
    aside, folder = out / f"{MODEL_NAME}.new", out / MODEL_NAME
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    contents = {
        prepared.metadata.weights: prepared.weights,
        METADATA_NAME: prepared.metadata_json(),
        CARD_NAME: prepared.card.encode(),
    }
    for name, content in contents.items():
        (aside / name).write_bytes(content)
        fsync(aside / name)
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    bundle = out / f"{MODEL_NAME}.zip.new"
    with bundle.open("wb") as file:
        write_bundle(file, prepared)
    fsync(bundle)
    bundle.rename(out / f"{MODEL_NAME}.zip")
    fsync(out)
