"""`gray2hue models`: which versions there are, which one new jobs get, taking versions in and giving them out."""

import json
import os
import pwd
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from cli.environment import read_settings
from core import registry
from core.checkpoints import PreparedModel, prepare_model, read_metadata, read_weights, write_bundle
from core.database import Database
from core.errors import InputError, SetupError
from core.machine import fsync
from core.model_store import check_stored, provide_model, read_stored, store_model
from core.records import AliasName, ModelVersion, Promotion
from core.settings import Settings
from core.storage import LocalStorage

NAMES_SHOWN = 10


@click.group()
def models() -> None:
    """List model versions, choose the one for new jobs, import and export. A job keeps the one it was sent under."""


@contextmanager
def _writing(settings: Settings) -> Iterator[Session]:
    """A session on the database; SetupError (`not_migrated`) when it has no tables yet."""
    database = Database(settings.database_url)
    try:
        with database.write() as session:
            yield session
    except DatabaseError as error:
        raise SetupError("not_migrated", "The database is not ready; run `gray2hue migrate` first.") from error
    finally:
        database.dispose()


def _person() -> str:
    """Who runs this command, for the history of promotions."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return registry.OURSELVES


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
def list_versions(as_json: bool) -> None:
    """All versions, newest first. New jobs get the active one."""
    with _writing(read_settings()) as session:
        versions = registry.all_versions(session)
        aliases = _aliases(session)
        if as_json:
            click.echo(json.dumps([_as_json(version, aliases) for version in versions], indent=2))
        else:
            Console(markup=False, highlight=False).print(_as_table(versions, aliases))


def _aliases(session: Session) -> dict[str, AliasName]:
    """The alias of each version that has one."""
    found = {name: registry.aliased(session, name) for name in AliasName}
    return {version.version: name for name, version in found.items() if version is not None}


def _as_json(version: ModelVersion, aliases: dict[str, AliasName]) -> dict[str, Any]:
    return {
        "version": version.version,
        "name": version.name,
        "active": aliases.get(version.version) == AliasName.ACTIVE,
        "candidate": aliases.get(version.version) == AliasName.CANDIDATE,
        "source": version.source,
        "parent": version.parent,
        "sha256": version.sha256,
        "metrics": version.metrics,
        "created_at": version.created_at.isoformat(),
    }


def _as_table(versions: Sequence[ModelVersion], aliases: dict[str, AliasName]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("VERSION", "ALIAS", "SOURCE", "NAME", "REGISTERED", "SHA256"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for version in versions:
        alias = aliases.get(version.version, "")
        registered = version.created_at.isoformat(" ", "minutes")[:16]
        table.add_row(version.version, alias, version.source, version.name, registered, version.sha256[:12])
    return table


@models.command()
@click.argument("version")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object, the card included.")
def show(version: str, as_json: bool) -> None:
    """What is known about VERSION: where it comes from, its numbers, its card."""
    with _writing(read_settings()) as session:
        found = registry.get_version(session, version)
        told = {**_as_json(found, _aliases(session)), "card": found.card}
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    card = told.pop("card")
    for name, value in told.items():
        shown = json.dumps(value) if isinstance(value, dict | bool) else value or "-"
        click.echo(f"{name + ':':<12}{shown}")
    if card:
        click.echo(f"\n{card.rstrip()}")


@models.command()
@click.argument("version")
@click.option("--reason", default="", metavar="TEXT", help="Why, for the history.")
def promote(version: str, reason: str) -> None:
    """Have new jobs use VERSION, without a restart. Running jobs keep theirs."""
    settings = read_settings()
    with _writing(settings) as session:
        _check_usable(settings, registry.get_version(session, version))
        _tell_promoted(registry.promote(session, version, _person(), reason))


@models.command()
@click.option("--reason", default="", metavar="TEXT", help="Why, for the history.")
def rollback(reason: str) -> None:
    """Have new jobs use what they used before the last promotion. Again, to go further back."""
    settings = read_settings()
    with _writing(settings) as session:
        changed = registry.roll_back(session, _person(), reason)
        _check_usable(settings, registry.get_version(session, changed.version))
        _tell_promoted(changed)


def _check_usable(settings: Settings, version: ModelVersion) -> None:
    storage = LocalStorage(settings.storage_dir)
    check_stored(storage, version, settings.models_dir, settings.imported_models_dir)


def _tell_promoted(changed: Promotion) -> None:
    click.echo(f"New jobs use model version {changed.version} instead of {changed.previous}; running ones keep theirs.")


@models.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--version", metavar="NAME", help="What to call it. By default the file's name and a part of its hash.")
@click.option("--activate", is_flag=True, help="Have new jobs use it.")
def import_version(file: Path, version: str | None, activate: bool) -> None:
    """Take in FILE as a model version of its own.

    FILE is what `gray2hue models export` wrote, or holds the state dict of a generator (res18-unet.pt), or of a whole
    model with the generator's weights under net_G. (final_model_weights.pt), as torch saves it or as safetensors.
    Nothing in it is run.
    """
    settings = read_settings()
    prepared = prepare_model(file, version)
    with _writing(settings) as session:
        registered = _take_in(session, LocalStorage(settings.storage_dir), prepared)
        if activate and registry.active_version(session) is not registered:
            registry.promote(session, registered.version, _person(), f"imported from {file.name}")
        is_active = registry.active_version(session) is registered
    click.echo(f"Imported {file} as model version {registered.version}.")
    _tell_left_out(prepared.left_out)
    click.echo("New jobs use it." if is_active else "New jobs do not use it; say --activate to change that.")


def _take_in(session: Session, storage: LocalStorage, prepared: PreparedModel) -> ModelVersion:
    """Register and store. A version that is recorded is there: what is stored is durable before the transaction is."""
    metadata = prepared.metadata
    registered = registry.register(
        session,
        metadata.version,
        metadata.name,
        metadata.sha256,
        parent=metadata.parent,
        metrics=metadata.metrics,
        card=prepared.card,
    )
    registered.key = store_model(storage, prepared)
    return registered


@models.command()
@click.argument("version")
@click.option(
    "-o", "--output", "out", required=True, metavar="FILE.zip", type=click.Path(dir_okay=False, path_type=Path)
)
@click.option("--overwrite", is_flag=True, help="Replace FILE.zip if it exists.")
def export(version: str, out: Path, overwrite: bool) -> None:
    """Write VERSION as one ZIP of model.json, weights and card, for `gray2hue models import` on another machine."""
    if out.exists() and not overwrite:
        raise InputError("file_exists", f"{out} exists already. --overwrite replaces it.")
    settings = read_settings()
    with _writing(settings) as session:
        registered = registry.get_version(session, version)
    prepared = _read_version(settings, registered)
    aside = out.with_name(f".{out.name}-{secrets.token_hex(8)}")
    try:
        with aside.open("xb") as target:
            write_bundle(target, prepared)
        fsync(aside)
        aside.replace(out)
    finally:
        aside.unlink(missing_ok=True)
    click.echo(f"Wrote model version {version} to {out}.")


def _read_version(settings: Settings, registered: ModelVersion) -> PreparedModel:
    """A version with its weights, and with what the registry tells of it."""
    storage = LocalStorage(settings.storage_dir)
    if registered.key:
        prepared = read_stored(storage, registered.key, registered.sha256)
    else:
        folder = provide_model(storage, registered, settings.models_dir, settings.imported_models_dir)
        metadata = read_metadata(folder)
        prepared = PreparedModel(metadata, read_weights(folder, metadata))
    told = {"parent": registered.parent, "metrics": registered.metrics}
    return replace(prepared, metadata=prepared.metadata.model_copy(update=told), card=registered.card or prepared.card)


def _tell_left_out(names: Sequence[str]) -> None:
    """Name what was not taken: every part by its first words, and single values in full."""
    parts: dict[str, int] = {}
    for name in names:
        part = f"{name.split('.')[0]}.*" if name.startswith("net_") else name
        parts[part] = parts.get(part, 0) + 1
    shown = [part if count == 1 else f"{part} ({count})" for part, count in parts.items()]
    if shown:
        more = f", and {len(shown) - NAMES_SHOWN} more" if len(shown) > NAMES_SHOWN else ""
        click.echo(f"Left out: {', '.join(shown[:NAMES_SHOWN])}{more}.")
