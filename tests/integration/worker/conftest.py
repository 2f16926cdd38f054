"""Handlers on real parts, without Celery: SQLite, a local folder, the shipped weights."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import make_url, select

from core import jobs
from core.colorizer import Colorizer
from core.errors import CheckpointError, StorageError
from core.migrate import migrate
from core.options import JobOptions
from core.queue import RecordedHints
from core.records import Job, ModelVersion, Photo, User
from core.runtimes import Runtime, choose_runtime
from core.settings import SOURCE_ROOT, Settings
from losing_proxy import LosingProxy
from shipped import SHIPPED_VERSION
from worker.colorizers import Colorizers
from worker.handlers import Context
from worker.handlers.colorize import Workshop
from worker.handlers.housekeeping import Housekeeping
from worker.lifecycle import open_context, open_engine


@pytest.fixture(scope="session")
def loaded_runtime(runtimes_dir: Path) -> Iterator[Runtime]:
    runtime = choose_runtime(SOURCE_ROOT / "models", runtimes_dir, "cpu")
    yield runtime
    runtime.close()


@pytest.fixture
def colorizer(loaded_runtime: Runtime) -> Colorizer:
    """The shipped model, seeing little, so that the tests are fast."""
    return Colorizer(loaded_runtime, SHIPPED_VERSION, 64)


@pytest.fixture
def workshop(colorizer: Colorizer) -> Workshop:
    """What a worker works with: the shipped model only, two photographs at a time."""

    def load(version: str) -> Colorizer:
        if version != colorizer.version:
            raise CheckpointError("model_version_missing", f"There is no model {version} here.")
        return colorizer

    engine = open_engine(Settings(preview_edge_px=1600))
    return Workshop(engine, Colorizers(load), threads=2)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    settings = Settings(data_dir=tmp_path, broker_url="memory://", chunk_photos=3, max_path_depth=4)
    migrate(settings)
    context = replace(open_context(settings), hints=RecordedHints())
    with context.database.write() as session:
        session.add(User(id="ada", name="ada"))
    yield context
    context.database.dispose()


@pytest.fixture
def distant(tmp_path: Path, postgres_url: str) -> Iterator[tuple[Context, LosingProxy]]:
    """A context on PostgreSQL, and what stands between them. No heart beats, so that each commit is known."""
    server = make_url(postgres_url)
    proxy = LosingProxy(Path(str(server.query["host"])) / ".s.PGSQL.5432")
    url = server.set(host="127.0.0.1", port=proxy.port, query={}).render_as_string(hide_password=False)
    settings = Settings(data_dir=tmp_path, database_url=url, broker_url="memory://", chunk_photos=3)
    migrate(settings)
    context = replace(open_context(settings), hints=RecordedHints(), heartbeat_s=600)
    with context.database.write() as session:
        session.add(User(id="ada", name="ada"))
    yield context, proxy
    context.database.dispose()
    proxy.close()


def store_and_submit(
    context: Context, uploads: list[tuple[str, bytes]], options: JobOptions | None = None, job_id: str = "job"
) -> None:
    """Store uploads, given by name, and record a job of them."""
    recorded = []
    for position, (name, content) in enumerate(uploads):
        key = f"jobs/{job_id}/uploads/{position}"
        stored = context.storage.put(key, io.BytesIO(content))
        recorded.append((name, key, stored.size_bytes))
    with context.database.write() as session:
        version = session.scalars(select(ModelVersion.version)).one()
        arguments = {"owner_id": "ada", "name": "upload", "model_version": version, "express": False}
        jobs.submit(session, uploads=recorded, job_id=job_id, options=options, **arguments)


@pytest.fixture
def submit(context: Context) -> Callable[..., None]:
    """Stores uploads, given by name, and records a job of them, `job` if not named otherwise."""
    return partial(store_and_submit, context)


@pytest.fixture
def submit_to() -> Callable[..., None]:
    """The same for any context."""
    return store_and_submit


@pytest.fixture
def photos(context: Context) -> Callable[[], list[Photo]]:
    """The photos' rows as they stand now."""

    def read() -> list[Photo]:
        with context.database.read() as session:
            return list(session.scalars(select(Photo).order_by(Photo.position)))

    return read


@pytest.fixture
def job(context: Context) -> Callable[[], Job]:
    """The job's row as it stands now."""

    def read() -> Job:
        with context.database.read() as session:
            return session.get_one(Job, "job")

    return read


@pytest.fixture
def housekeeping() -> Housekeeping:
    """What a process remembers that was started just now."""
    return Housekeeping()


@pytest.fixture
def undeletable(context: Context, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Adds keys that the storage refuses to delete."""
    refused: set[str] = set()
    delete = context.storage.delete

    def refuses(key: str) -> None:
        if key in refused:
            raise StorageError("storage_failed", "The storage folder failed: Permission denied.")
        delete(key)

    monkeypatch.setattr(context.storage, "delete", refuses)
    return refused
