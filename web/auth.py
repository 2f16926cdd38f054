"""Who asks: a person with a session, or a program with an API key; nobody else gets in."""

import time
from urllib.parse import urlsplit

from flask import Flask, g, request, session
from flask_wtf.csrf import CSRFError, CSRFProtect, validate_csrf

from core import accounts
from core.errors import AuthenticationError
from core.records import User
from web.problems import is_api
from web.services import services

PUBLIC_ENDPOINTS = frozenset({"static", "health.show", "accounts.sign_in", "accounts.setup"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "X-CSRFToken"


def register(app: Flask) -> None:
    """Ask every request who it is from, before anything of it is read."""
    csrf = CSRFProtect()
    csrf.init_app(app)

    def check() -> None:
        g.user = None
        by_key = authenticate()
        if request.method not in SAFE_METHODS and not by_key and request.endpoint is not None:
            check_csrf(csrf)

    app.before_request(check)
    app.context_processor(lambda: {"current_user": g.get("user")})


def authenticate() -> bool:
    """Set `g.user`, and tell whether it was by an API key. A request that brings a key never falls back to a session.

    Raises:
        AuthenticationError: `not_signed_in`, `bad_api_key`, or `session_needed` for a key on a page.
    """
    if request.endpoint in PUBLIC_ENDPOINTS:
        return False
    token = _bearer_token()
    if token is not None:
        g.user = _user_by_key(token)
        return True
    g.user = _user_by_session()
    if g.user is None:
        raise AuthenticationError("not_signed_in", "Sign in, or send an API key.")
    return False


def check_csrf(csrf: CSRFProtect) -> None:
    """Refuse an unsafe request that another site may have sent with the person's cookie.

    The API wants the token in a header: looking for it in a form's fields would read an upload to its end first.

    Raises:
        AuthenticationError: `csrf_failed`.
    """
    try:
        if is_api():
            validate_csrf(request.headers.get(CSRF_HEADER))
        else:
            csrf.protect()
    except (ValueError, CSRFError) as error:
        # wtforms' ValidationError is a ValueError.
        raise AuthenticationError("csrf_failed", "The page was open for too long; load it again.") from error


def current_user() -> User:
    """The person that this request is from; only for views that need one."""
    user: User | None = g.get("user")
    if user is None:
        raise AuthenticationError("not_signed_in", "Sign in, or send an API key.")
    return user


def current_actor() -> str:
    """Who does what this request asks for, as the log of a job's changes names it."""
    return f"user:{current_user().id}"


def current_admin() -> User:
    """The admin that this request is from; AuthenticationError (`admin_only`) for anybody else."""
    user = current_user()
    if not user.is_admin:
        raise AuthenticationError("admin_only", "Only an admin may do this.")
    return user


def begin_session(user: User) -> None:
    """Start a new session; whatever was in an earlier one is gone."""
    session.clear()
    session.permanent = True
    session["user_id"] = user.id
    session["session_epoch"] = user.session_epoch
    session["signed_in_at"] = int(time.time())


def local_path(target: str | None) -> str:
    """Where to go on after the sign-in: the wanted path if it is one of this site, else the start page."""
    plain = target is not None and target.startswith("/") and not any(char in "\\" or char <= " " for char in target)
    if target is None or not plain or target.startswith("//") or urlsplit(target).netloc:
        return "/"
    return target


def _bearer_token() -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _user_by_key(token: str) -> User:
    if not is_api():
        raise AuthenticationError("session_needed", "An API key opens the API, not the pages.")
    database = services().database
    with database.read() as records:
        key = accounts.find_api_key(records, token)
    if accounts.is_use_to_note(key):
        with database.write() as records:
            accounts.note_key_use(records, key.id)
    return key.user


def _user_by_session() -> User | None:
    user_id, signed_in_at = session.get("user_id"), session.get("signed_in_at")
    if not isinstance(user_id, str) or not isinstance(signed_in_at, int):
        return None
    if time.time() - signed_in_at >= services().settings.session_lifetime_s:
        return None
    with services().database.read() as records:
        user = records.get(User, user_id)
    return user if user is not None and user.session_epoch == session.get("session_epoch") else None
