"""create_app: everything of the web put together."""

from datetime import timedelta

from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

from core.boundaries import boundaries
from core.database import Database
from core.queue import HintSender, Queue
from core.settings import Settings
from core.storage import LocalStorage
from web import auth, headers, problems
from web.blueprints import ALL_BLUEPRINTS
from web.guard import SignInGuard
from web.parameters import IdConverter, NameConverter, NumberConverter
from web.secret_key import load_secret_key
from web.services import Services, attach
from web.uploads import remove_stale

MAX_FORM_BYTES = 1 << 20
STALL_TIMEOUT_S = 120.0


def create_app(settings: Settings, *, hints: HintSender | None = None) -> Flask:
    """The WSGI application.

    Args:
        hints: what sends hints instead of the broker that the settings name.
    """
    app = Flask("web")
    configure(app, settings)
    attach(app, make_services(settings, hints))
    app.url_map.converters.update(id=IdConverter, name=NameConverter, number=NumberConverter)
    problems.register(app)
    headers.register(app)
    app.before_request(bound_stalls)
    auth.register(app)
    for blueprint in ALL_BLUEPRINTS:
        app.register_blueprint(blueprint)
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    remove_stale(settings.incoming_dir)
    return app


def configure(app: Flask, settings: Settings) -> None:
    """Set what Flask and Flask-WTF read from the app's config.

    The cookie's name holds the port, since browsers keep one jar for all ports of a host and several stacks may stand
    side by side. CSRF tokens live as long as their session: a page may stay open all day before it is used.
    """
    app.config.update(
        SECRET_KEY=load_secret_key(settings),
        MAX_CONTENT_LENGTH=MAX_FORM_BYTES,
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=settings.session_lifetime_s),
        SESSION_REFRESH_EACH_REQUEST=False,
        SESSION_COOKIE_NAME=f"gray2hue_{settings.port}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.cookie_secure,
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
    )


def make_services(settings: Settings, hints: HintSender | None) -> Services:
    """Connect to database, storage and broker; nothing is asked of them yet."""
    queue = hints or Queue(settings.broker_url, settings.ingest_time_limit_s)
    watched = boundaries(settings.faults_dir)
    return Services(
        settings=settings,
        database=Database(settings.database_url),
        storage=LocalStorage(settings.storage_dir, watched),
        hints=queue,
        ping_broker=queue.ping if isinstance(queue, Queue) else lambda: None,
        guard=SignInGuard(),
        boundaries=watched,
    )


def bound_stalls() -> None:
    """Let a client that neither sends nor takes anything for minutes lose its connection, and give its thread back."""
    if socket := request.environ.get("gunicorn.socket"):
        socket.settimeout(STALL_TIMEOUT_S)
