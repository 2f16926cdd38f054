"""Bringing a database to the present schema, with the shipped model and an admin in it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.orm import Session

from core import registry
from core.accounts import ensure_admin
from core.checkpoints import CARD_NAME, read_metadata
from core.database import Database
from core.records import AliasName, ModelSource, ModelVersion
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
        register_shipped_model(session, settings.models_dir, settings.imported_models_dir)
        ensure_admin(session)
    database.dispose()


def register_shipped_model(session: Session, models_dir: Path, imported_dir: Path) -> ModelVersion:
    """Record the weights in `models_dir`, and make them the active ones if they are new or nothing is.

    New ones do not take the place of a version that an admin brought and chose.

    Raises:
        CheckpointError: `version_reused`, when other weights are known under the same version.
    """
    shipped = read_metadata(models_dir)
    is_new = session.get(ModelVersion, shipped.version) is None
    registered = registry.register(session, shipped.version, shipped.name, shipped.sha256)
    registered.source = ModelSource.SHIPPED
    registered.card = _card(models_dir) or registered.card
    active = registry.aliased(session, AliasName.ACTIVE)
    if active is None or (is_new and not _was_brought(active, imported_dir)):
        registry.activate(session, registered)
    return registered


def _card(models_dir: Path) -> str:
    """The card beside the shipped weights; "" where only their metadata are installed."""
    path = models_dir / CARD_NAME
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _was_brought(version: ModelVersion, imported_dir: Path) -> bool:
    """Whether an admin imported or trained it, rather than that it came with an earlier program."""
    return bool(version.key) or (imported_dir / version.version).is_dir()
