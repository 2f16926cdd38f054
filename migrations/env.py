"""Alembic's entry point: the caller's connection if it brings one, else the database that Settings name."""

from typing import Literal

from alembic import context
from sqlalchemy import Connection

from core.database import Database
from core.records import Base
from core.records.base import OptionsJson, UtcDateTime
from core.settings import Settings


def render_item(kind: str, item: object, _autogen_context: object) -> str | Literal[False]:
    """Write our types as the plain ones beneath them, so that a migration stays true when the code moves on."""
    if kind != "type":
        return False
    if isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return "sa.JSON()" if isinstance(item, OptionsJson) else False


def run(connection: Connection) -> None:
    """Bring the database behind the connection to the revision that was asked for."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with Database(Settings().database_url).engine.connect() as own:
        run(own)
