"""Alembic's migrations, from an empty database and in agreement with the tables."""

import datetime
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from click.testing import CliRunner
from sqlalchemy import MetaData, Table, inspect, select

from cli.main import main
from core import registry
from core.database import Database
from core.migrate import migrate, migration_config
from core.options import JobOptions
from core.records import Base, Job, ModelVersion, Photo
from core.settings import Settings


def settings_for(url: str, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, database_url=url)


def test_an_empty_database_gets_the_tables_and_the_shipped_model(database_url, tmp_path):
    migrate(settings_for(database_url, tmp_path))
    migrate(settings_for(database_url, tmp_path))

    database = Database(database_url)
    with database.read() as session:
        (model,) = session.scalars(select(ModelVersion)).all()
        assert registry.active_version(session) is model
    assert set(Base.metadata.tables) <= set(inspect(database.engine).get_table_names())
    database.dispose()


def test_the_migrations_agree_with_the_tables(database_url, tmp_path):
    migrate(settings_for(database_url, tmp_path))
    database = Database(database_url)
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    database.dispose()
    assert differences == []


def upgrade(connection, revision):
    config = migration_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def insert(connection, table_name, **values):
    """A row with the given values, whatever else the table of this revision wants."""
    table = Table(table_name, MetaData(), autoload_with=connection)
    fillers = {str: "", int: 0, bool: False, datetime.datetime: datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)}
    wanted = {column.name: fillers[column.type.python_type] for column in table.columns if not column.nullable}
    connection.execute(table.insert().values(wanted | values))


def test_jobs_from_before_there_were_options_go_on_with_the_defaults(database_url):
    database = Database(database_url)
    with database.engine.begin() as connection:
        upgrade(connection, "0001")
        insert(connection, "users", id="ada", name="ada")
        insert(connection, "model_versions", version="v-old", sha256="0" * 64)
        insert(connection, "jobs", id="old", owner_id="ada", model_version="v-old", state="running")
        insert(connection, "photos", id="photo", job_id="old", path="a.jpg", state="done", media_type="image/jpeg")
        upgrade(connection, "head")
    with database.read() as session:
        job, photo = session.get_one(Job, "old"), session.get_one(Photo, "photo")
    database.dispose()
    assert job.options == JobOptions()
    assert (photo.warning, photo.losses, photo.runtime, photo.result_media_type) == ("", [], "", "")
    assert photo.lightness_error_mean is photo.lightness_error_max is photo.mean_chroma is None


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
