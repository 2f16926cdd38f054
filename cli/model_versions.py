"""`gray2hue models`: which versions there are, and taking in new ones."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from cli.environment import read_settings
from core import registry
from core.checkpoints import prepare_model
from core.database import Database
from core.errors import SetupError
from core.records import ModelVersion
from core.settings import Settings

NAMES_SHOWN = 10


@click.group()
def models() -> None:
    """List model versions and import new ones. A job keeps the version that it was sent under."""


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


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
def list_versions(as_json: bool) -> None:
    """All versions, newest first. New jobs get the active one."""
    with _writing(read_settings()) as session:
        versions = registry.all_versions(session)
        active = registry.active_version(session).version
        if as_json:
            click.echo(json.dumps([_as_json(version, active) for version in versions], indent=2))
        else:
            Console(markup=False, highlight=False).print(_as_table(versions, active))


def _as_json(version: ModelVersion, active: str) -> dict[str, str | bool]:
    return {
        "version": version.version,
        "name": version.name,
        "active": version.version == active,
        "sha256": version.sha256,
        "created_at": version.created_at.isoformat(),
    }


def _as_table(versions: Sequence[ModelVersion], active: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("VERSION", "ACTIVE", "NAME", "REGISTERED", "SHA256"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for version in versions:
        registered = version.created_at.isoformat(" ", "minutes")[:16]
        mark = "active" if version.version == active else ""
        table.add_row(version.version, mark, version.name, registered, version.sha256[:12])
    return table


@models.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--version", metavar="NAME", help="What to call it. By default the file's name and a part of its hash.")
@click.option("--activate", is_flag=True, help="Have new jobs use it.")
def import_version(file: Path, version: str | None, activate: bool) -> None:
    """Take in FILE as a model version of its own.

    FILE holds the state dict of a generator (res18-unet.pt), or of a whole model with the generator's weights under
    net_G. (final_model_weights.pt), as torch saves it or as safetensors. Nothing in it is run.
    """
    settings = read_settings()
    prepared = prepare_model(file, version)
    metadata = prepared.metadata
    with _writing(settings) as session:
        registered = registry.register(session, metadata.version, metadata.name, metadata.sha256)
        if activate:
            registry.activate(session, registered)
        is_active = registry.active_version(session) is registered
        # A version that is recorded is there: its folder is durable before the transaction is.
        folder = prepared.store(settings.imported_models_dir)
    click.echo(f"Imported {file} as model version {metadata.version}, in {folder}.")
    _tell_left_out(prepared.left_out)
    click.echo("New jobs use it." if is_active else "New jobs do not use it; say --activate to change that.")


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
