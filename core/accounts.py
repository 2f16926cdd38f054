"""People and what lets them in: passwords, one-time links, API keys. Of every token only the SHA-256 is kept.

Functions that only look need a reading session, the others a writing one; the caller commits. Hashing a password takes
a good part of a second on purpose and happens before the first statement, so that no writer waits for it.
"""

import hashlib
import secrets
import unicodedata
from collections.abc import Sequence
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select, update
from sqlalchemy.orm import Session, joinedload

from core.errors import AuthenticationError, NotFoundError, OptionsError
from core.records import ApiKey, SetupLink, User, utc_now

MIN_PASSWORD_CHARACTERS = 10
MAX_PASSWORD_CHARACTERS = 1000
MAX_KEY_NAME_CHARACTERS = 100
KEY_MARK = "g2h_"
KEY_PREFIX_CHARACTERS = 12
KEY_USE_PRECISION = timedelta(minutes=1)


def ensure_admin(session: Session, name: str = "admin") -> User:
    """Give the admin of that name, made if there is none; without a password until a one-time link was used."""
    user = session.scalar(select(User).where(User.name == name))
    if user is None:
        user = User(name=name, is_admin=True, password_hash="", session_epoch=0)
        session.add(user)
        session.flush()
    user.is_admin = True
    return user


def make_setup_link(session: Session, user: User, lifetime_s: int) -> str:
    """Make a link by which the person sets a password, once; give its token, which is not kept."""
    token = secrets.token_urlsafe(32)
    expires_at = utc_now() + timedelta(seconds=lifetime_s)
    session.add(SetupLink(user_id=user.id, token_sha256=_sha256(token), expires_at=expires_at))
    session.flush()
    return token


def user_of_setup_link(session: Session, token: str) -> User:
    """Whose link it is; AuthenticationError (`bad_setup_link`) for one that is unknown, used or too old."""
    link = session.scalar(
        select(SetupLink)
        .where(SetupLink.token_sha256 == _sha256(token), SetupLink.used_at.is_(None), SetupLink.expires_at > utc_now())
        .options(joinedload(SetupLink.user))
    )
    if link is None:
        raise _bad_setup_link()
    return link.user


def use_setup_link(session: Session, token: str, password: str) -> User:
    """Set the password of the link's person. It uses up all of the person's links and ends all of their sessions.

    Raises:
        AuthenticationError: `bad_setup_link`, for one that is unknown, used or too old.
        OptionsError: `weak_password`, for one that is too short or too long; the link stays good.
    """
    password_hash = _hash_password(password)
    now = utc_now()
    used = (
        update(SetupLink)
        .where(SetupLink.token_sha256 == _sha256(token), SetupLink.used_at.is_(None), SetupLink.expires_at > now)
        .values(used_at=now)
        .returning(SetupLink.user_id)
    )
    user_id = session.scalar(used)
    if user_id is None:
        raise _bad_setup_link()
    user = session.get_one(User, user_id, with_for_update=True)
    user.password_hash = password_hash
    user.session_epoch += 1
    session.execute(
        update(SetupLink).where(SetupLink.user_id == user_id, SetupLink.used_at.is_(None)).values(used_at=now)
    )
    return user


def sign_in(session: Session, name: str, password: str) -> User:
    """The person of that name and password; AuthenticationError (`bad_credentials`) without telling which was wrong."""
    hasher = PasswordHasher()
    wrong = AuthenticationError("bad_credentials", "The name or the password is wrong.")
    if len(password) > MAX_PASSWORD_CHARACTERS or "\0" in name:
        raise wrong
    user = session.scalar(select(User).where(User.name == unicodedata.normalize("NFC", name.strip())))
    if user is None or not user.password_hash:
        # A name that does not exist takes as long as a wrong password, so that time tells nothing.
        hasher.hash(_password_form(password))
        raise wrong
    try:
        hasher.verify(user.password_hash, _password_form(password))
    except (VerificationError, InvalidHashError) as error:
        raise wrong from error
    return user


def make_api_key(session: Session, user: User, name: str) -> tuple[ApiKey, str]:
    """Make a key for programs; give its row and its token, which is not kept.

    Raises:
        OptionsError: `bad_name`, when the name is empty, too long or not printable.
    """
    name = unicodedata.normalize("NFC", name.strip())
    if not name or len(name) > MAX_KEY_NAME_CHARACTERS or not name.isprintable():
        raise OptionsError("bad_name", f"A key needs a name of 1 to {MAX_KEY_NAME_CHARACTERS} printable characters.")
    token = KEY_MARK + secrets.token_urlsafe(32)
    key = ApiKey(user_id=user.id, name=name, prefix=token[:KEY_PREFIX_CHARACTERS], token_sha256=_sha256(token))
    session.add(key)
    session.flush()
    return key, token


def user_of_key(session: Session, token: str) -> User:
    """Whose key it is; AuthenticationError (`bad_api_key`) for one that is unknown or revoked."""
    return find_api_key(session, token).user


def find_api_key(session: Session, token: str) -> ApiKey:
    """The key's row with its user; AuthenticationError (`bad_api_key`) for one that is unknown or revoked."""
    key = session.scalar(
        select(ApiKey)
        .where(ApiKey.token_sha256 == _sha256(token), ApiKey.revoked_at.is_(None))
        .options(joinedload(ApiKey.user))
    )
    if key is None:
        raise AuthenticationError("bad_api_key", "The API key is unknown or was revoked.")
    return key


def is_use_to_note(key: ApiKey) -> bool:
    """Whether `last_used_at` is old enough to be written anew: it is kept to the minute, not for every request."""
    return key.last_used_at is None or utc_now() - key.last_used_at >= KEY_USE_PRECISION


def note_key_use(session: Session, key_id: str) -> None:
    """Write down that the key was used now."""
    session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=utc_now()))


def list_api_keys(session: Session, user: User) -> Sequence[ApiKey]:
    """The person's keys, the newest first; revoked ones stay in the list."""
    keys = select(ApiKey).where(ApiKey.user_id == user.id)
    return session.scalars(keys.order_by(ApiKey.created_at.desc(), ApiKey.id)).all()


def revoke_api_key(session: Session, user: User, key_id: str) -> ApiKey:
    """Make a key of the person's worthless from now on; NotFoundError (`not_found`) for anybody else's."""
    key = session.get(ApiKey, key_id)
    if key is None or key.user_id != user.id:
        raise NotFoundError("not_found", "There is no such key.")
    key.revoked_at = key.revoked_at or utc_now()
    return key


def _bad_setup_link() -> AuthenticationError:
    return AuthenticationError("bad_setup_link", "This link was used already, is too old, or never was one.")


def _hash_password(password: str) -> str:
    if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise OptionsError(
            "weak_password",
            f"A password needs at least {MIN_PASSWORD_CHARACTERS} and at most {MAX_PASSWORD_CHARACTERS} characters.",
        )
    return PasswordHasher().hash(_password_form(password))


def _password_form(password: str) -> str:
    # Two keyboards may type the same letter in two Unicode forms (NIST SP 800-63B, 5.1.1.2).
    return unicodedata.normalize("NFKC", password)


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
