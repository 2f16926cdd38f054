"""Alembic's migrations, from an empty database and in agreement with the tables."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from click.testing import CliRunner
from sqlalchemy import inspect, select

from cli.main import main
from core.database import Database
from core.migrate import migrate, migration_config
from core.records import Base, ModelVersion
from core.settings import Settings


def settings_for(url: str, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, database_url=url)


def test_an_empty_database_gets_the_tables_and_the_shipped_model(database_url, tmp_path):
    migrate(settings_for(database_url, tmp_path))
    migrate(settings_for(database_url, tmp_path))

    database = Database(database_url)
    with database.read() as session:
        (model,) = session.scalars(select(ModelVersion)).all()
    assert model.active
    assert set(Base.metadata.tables) <= set(inspect(database.engine).get_table_names())
    database.dispose()


def test_the_migrations_agree_with_the_tables(database_url, tmp_path):
    migrate(settings_for(database_url, tmp_path))
    database = Database(database_url)
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    database.dispose()
    assert differences == []


def test_the_migrations_can_be_taken_back(database_url, tmp_path):
    migrate(settings_for(database_url, tmp_path))
    database = Database(database_url)
    config = migration_config()
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert set(inspect(database.engine).get_table_names()) <= {"alembic_version"}
    database.dispose()


def test_a_fresh_database_has_an_admin_who_can_be_given_a_link_at_the_public_address(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAY2HUE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GRAY2HUE_PUBLIC_URL", "https://photos.example.org/")
    assert CliRunner().invoke(main, ["migrate"]).exit_code == 0

    printed = CliRunner().invoke(main, ["link"])

    assert printed.exit_code == 0
    assert printed.output.startswith("https://photos.example.org/setup/")
