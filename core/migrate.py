"""Bringing a database to the present schema, with the shipped model and an admin in it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import update
from sqlalchemy.orm import Session

from core.accounts import ensure_admin
from core.checkpoints import read_metadata
from core.database import Database
from core.errors import CheckpointError
from core.records import ModelVersion
from core.settings import SOURCE_ROOT, Settings


def migration_config() -> Config:
    """Alembic's configuration, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(SOURCE_ROOT / "migrations"))
    return config


def migrate(settings: Settings) -> None:
    """Upgrade the database, register the shipped weights, make the admin. Safe to run at every start."""
    database = Database(settings.database_url)
    config = migration_config()
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    with database.write() as session:
        register_shipped_model(session, settings.models_dir)
        ensure_admin(session)
    database.dispose()


def register_shipped_model(session: Session, models_dir: Path) -> ModelVersion:
    """Record the weights in `models_dir`, and make them the ones in use if they are new or none is.

    Raises:
        CheckpointError: `version_reused`, when other weights are known under the same version.
    """
    shipped = read_metadata(models_dir)
    known = session.get(ModelVersion, shipped.version)
    if known is not None and known.sha256 != shipped.sha256:
        raise CheckpointError("version_reused", f"Model version {shipped.version} is known with another SHA-256.")
    if known is None:
        session.execute(update(ModelVersion).values(active=False))
        known = ModelVersion(version=shipped.version, name=shipped.name, sha256=shipped.sha256, active=True)
        session.add(known)
        session.flush()
    return known
