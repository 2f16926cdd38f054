"""`gray2hue migrate`: the database's tables and the shipped model."""

import click

from cli.environment import read_settings
from core.migrate import migrate as migrate_database


@click.command()
def migrate() -> None:
    """Bring the database up to date and register the shipped model. Safe to run again."""
    settings = read_settings()
    migrate_database(settings)
    click.echo("The database is up to date.")
