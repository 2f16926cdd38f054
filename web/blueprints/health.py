"""Whether the web and what it needs are there."""

import tempfile
from collections.abc import Callable
from http import HTTPStatus

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from core.errors import TransientError
from web.services import Services, services
from web.uploads.incoming import disk_errors

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
def show() -> ResponseReturnValue:
    """200 when everything answers, else 503 with what is away."""
    away = [part for part, check in checks(services()).items() if not _answers(check)]
    if away:
        return jsonify(status="degraded", away=away), HTTPStatus.SERVICE_UNAVAILABLE
    return jsonify(status="ok")


def checks(parts: Services) -> dict[str, Callable[[], None]]:
    """What is asked, by name; each raises TransientError when its part is away."""
    return {
        "database": parts.database.ping,
        "broker": parts.ping_broker,
        "storage": lambda: probe_storage(parts),
    }


def probe_storage(parts: Services) -> None:
    """Write a file where uploads come in, on the storage's file system; it vanishes by itself."""
    folder = parts.settings.incoming_dir
    with disk_errors():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"probe")


def _answers(check: Callable[[], None]) -> bool:
    try:
        check()
    except TransientError:
        return False
    return True
