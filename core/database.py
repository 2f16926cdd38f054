"""The connection to the database: SQLite for one machine, PostgreSQL for many."""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from core.errors import TransientError

log = logging.getLogger(__name__)

PATIENCE_S = 120.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0

POSTGRES_OPTIONS = {
    "connect_timeout": 5,
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""libpq's, in seconds, the second in milliseconds. A server that is lost without a word, with its machine or its
network, is noticed within half a minute; the system's own measures would take a quarter of an hour, or two hours."""

AWAY_SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL")
AWAY_POSTGRES = ("08", "40", "53", "57P")
"""Classes of SQLSTATE: no connection, rolled back for others' sake, out of resources, shutting down or starting."""

T = TypeVar("T")
Query = TypeVar("Query", bound=Select[Any])


def for_update(query: Query) -> Query:
    """Lock the rows that are found until the transaction ends, and give them as they stand once the lock is had.

    Without the second, a session that knows a row already would give what it read before it waited for the lock.
    """
    return query.with_for_update().execution_options(populate_existing=True)


class Database:
    """Short transactions, either for reading or for writing.

    On SQLite a writing one begins with BEGIN IMMEDIATE: it waits for its turn at its start and cannot fail for a
    lock half way; a reading one never waits (WAL). synchronous=FULL makes a commit survive a power cut.

    Args:
        url: an SQLAlchemy URL, e.g. sqlite:////data/gray2hue.db or postgresql+psycopg://user@host/name. What libpq is
            told in it goes before POSTGRES_OPTIONS.
    """

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        defaults: dict[str, float] = {"timeout": 60.0} if self.is_sqlite else {**POSTGRES_OPTIONS}
        arguments = {name: value for name, value in defaults.items() if name not in parsed.query}
        self.engine = create_engine(parsed, pool_pre_ping=not self.is_sqlite, connect_args=arguments)
        self._writing = self.engine
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
            self._writing = self.engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading; nothing is committed."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits when the block ends and rolls back when it raises."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def patiently(self, change: Callable[[Session], T], patience_s: float = PATIENCE_S) -> T:
        """Make a change in a writing transaction, as often as it takes while the database is away.

        Args:
            change: may be called again although it was committed before, for the answer to a commit can get lost; then
                it must change nothing more.
            patience_s: how long it is tried, in seconds.

        Raises:
            TransientError: `database_away`, it is away for longer than that.
        """
        return self._patiently(self.write, change, patience_s)

    def look_patiently(self, look: Callable[[Session], T], patience_s: float = PATIENCE_S) -> T:
        """The same for reading."""
        return self._patiently(self.read, look, patience_s)

    def _patiently(
        self, begin: Callable[[], AbstractContextManager[Session]], work: Callable[[Session], T], patience_s: float
    ) -> T:
        deadline = time.monotonic() + patience_s
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                with begin() as session:
                    return work(session)
            except DBAPIError as error:
                if not is_away(error):
                    raise
                if time.monotonic() + pause_s > deadline:
                    raise TransientError("database_away", "The database does not answer.") from error
                if pause_s == FIRST_PAUSE_S:
                    log.warning("the database is away, and waited for: %s", error.orig)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def ping(self) -> None:
        """Raise TransientError (`database_away`) unless the database answers."""
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except OperationalError as error:
            raise TransientError("database_away", "The database does not answer.") from error

    def dispose(self) -> None:
        """Close all connections; needed in a forked child before its first use."""
        self.engine.dispose()


def is_away(error: DBAPIError) -> bool:
    """Whether the database cannot be reached, or has no room or no turn for us just now; not that it was asked wrongly.

    A connection that cannot be made, or was lost, has no SQLSTATE.
    """
    if error.connection_invalidated:
        return True
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorname", "").startswith(AWAY_SQLITE)
    sqlstate = getattr(error.orig, "sqlstate", None)
    return not sqlstate or str(sqlstate).startswith(AWAY_POSTGRES)


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own transaction control would begin too late and without IMMEDIATE.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
