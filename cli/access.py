"""What the local stack makes for the people on this machine: the admin, the command line's key, one-time links."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from cli.address import read_key, write_key
from core.accounts import ensure_admin, make_api_key, make_setup_link, user_of_key
from core.database import Database
from core.errors import AuthenticationError, NotFoundError, SetupError
from core.records import User
from core.settings import Settings

KEY_NAME = "command line on the server"


@dataclass(frozen=True)
class SetupToken:
    """A one-time link's secret part, good for `lifetime_s` seconds."""

    token: str
    lifetime_s: int

    def link(self, address: str) -> str:
        """The whole link."""
        return f"{address}/setup/{self.token}"


def prepare_access(settings: Settings) -> SetupToken | None:
    """Make the admin and the command line's key where they are missing.

    Returns:
        A fresh one-time link while the admin has no password, else None.
    """
    database = Database(settings.database_url)
    try:
        with database.write() as session:
            admin = ensure_admin(session)
            _ensure_key(session, admin, settings.run_dir)
            if admin.password_hash:
                return None
            return _setup_token(session, admin, settings.setup_link_lifetime_s)
    finally:
        database.dispose()


def _setup_token(session: Session, user: User, lifetime_s: int) -> SetupToken:
    return SetupToken(make_setup_link(session, user, lifetime_s), lifetime_s)


def _ensure_key(session: Session, admin: User, run_dir: Path) -> None:
    known = read_key(run_dir)
    if known is None or not _is_good(session, known):
        _, key = make_api_key(session, admin, KEY_NAME)
        write_key(run_dir, key)


def _is_good(session: Session, key: str) -> bool:
    """False for a key that was revoked, or is of a database that this data folder used before."""
    try:
        user_of_key(session, key)
    except AuthenticationError:
        return False
    return True


def new_link(settings: Settings, name: str) -> SetupToken:
    """A one-time link for a person who is known already.

    Raises:
        NotFoundError: `no_such_user`.
        SetupError: `not_migrated`, when the database has no tables yet.
    """
    database = Database(settings.database_url)
    try:
        with database.write() as session:
            user = session.scalar(select(User).where(User.name == name))
            if user is None:
                raise NotFoundError("no_such_user", f"There is nobody called {name}.")
            return _setup_token(session, user, settings.setup_link_lifetime_s)
    except DatabaseError as error:
        raise SetupError("not_migrated", "The database is not ready; run `gray2hue migrate` first.") from error
    finally:
        database.dispose()
