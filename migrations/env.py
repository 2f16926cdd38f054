"""Alembic's entry point: the caller's connection if it brings one, else the database that Settings name."""

from typing import Literal

from alembic import context
from sqlalchemy import Connection

from core.database import Database
from core.records import Base
from core.records.base import UtcDateTime
from core.settings import Settings


def render_item(kind: str, item: object, _autogen_context: object) -> str | Literal[False]:
    """Write our time type as the plain one beneath it, so that a migration stays true when the code moves on."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


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
