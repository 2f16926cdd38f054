"""Errors to answers, in one place: RFC 9457 problem details for the API, a page for people."""

import logging
from dataclasses import dataclass, field
from http import HTTPStatus

from flask import Flask, Response, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from core.errors import (
    AuthenticationError,
    CheckpointError,
    Gray2HueError,
    InputError,
    NotFoundError,
    OptionsError,
    SetupError,
    StateError,
    StorageFullError,
    TransientError,
)

STATUS_OF_ERROR: tuple[tuple[type[Gray2HueError], HTTPStatus], ...] = (
    (OptionsError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (AuthenticationError, HTTPStatus.UNAUTHORIZED),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (StateError, HTTPStatus.CONFLICT),
    (InputError, HTTPStatus.BAD_REQUEST),
    (StorageFullError, HTTPStatus.INSUFFICIENT_STORAGE),
    (TransientError, HTTPStatus.SERVICE_UNAVAILABLE),
    (CheckpointError, HTTPStatus.SERVICE_UNAVAILABLE),
    (SetupError, HTTPStatus.INTERNAL_SERVER_ERROR),
)
STATUS_OF_CODE = {
    "admin_only": HTTPStatus.FORBIDDEN,
    "csrf_failed": HTTPStatus.FORBIDDEN,
    "damaged_weights": HTTPStatus.CONFLICT,
    "job_expired": HTTPStatus.GONE,
    "model_version_missing": HTTPStatus.CONFLICT,
    "session_needed": HTTPStatus.FORBIDDEN,
    "stored_bytes_exceeded": HTTPStatus.INSUFFICIENT_STORAGE,
    "too_many_attempts": HTTPStatus.TOO_MANY_REQUESTS,
    "too_many_open_jobs": HTTPStatus.TOO_MANY_REQUESTS,
    "too_many_open_photos": HTTPStatus.TOO_MANY_REQUESTS,
    "too_many_parts": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unsupported_media_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "upload_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}
CODE_OF_STATUS = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "request_too_large",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "range_not_satisfiable",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal_error",
}
RETRY_AFTER_S = {HTTPStatus.SERVICE_UNAVAILABLE: 5, HTTPStatus.TOO_MANY_REQUESTS: 30}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """What went wrong, as it is told: HTTP status, stable code, one sentence, further response headers."""

    status: HTTPStatus
    code: str
    detail: str
    headers: dict[str, str] = field(default_factory=dict)


def register(app: Flask) -> None:
    """Let every error of the app be answered here."""
    app.register_error_handler(Gray2HueError, _answer_ours)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(OperationalError, _answer_database)
    app.register_error_handler(Exception, _answer_unexpected)


def problem_of(error: Gray2HueError) -> Problem:
    """The one mapping of our errors to HTTP."""
    by_type = next((status for kind, status in STATUS_OF_ERROR if isinstance(error, kind)), None)
    status = STATUS_OF_CODE.get(error.code) or by_type or HTTPStatus.INTERNAL_SERVER_ERROR
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED:
        reason = ', error="invalid_token"' if error.code == "bad_api_key" else ""
        headers["WWW-Authenticate"] = f'Bearer realm="gray2hue"{reason}'
    if status in RETRY_AFTER_S:
        headers["Retry-After"] = str(RETRY_AFTER_S[status])
    return Problem(status, error.code, error.message, headers)


def is_api() -> bool:
    """Whether a program is asking, by the address it asks at."""
    return request.path.startswith("/api/") or request.path == "/health"


def respond(problem: Problem) -> Response:
    """The problem as JSON for the API, as a page for people."""
    if is_api():
        response = jsonify(
            type="about:blank",
            title=problem.status.phrase,
            status=problem.status.value,
            detail=problem.detail,
            code=problem.code,
        )
        response.content_type = "application/problem+json"
    else:
        page = render_template(
            "error.html", status=problem.status.value, title=problem.status.phrase, detail=problem.detail
        )
        response = Response(page, content_type="text/html; charset=utf-8")
    response.status_code = problem.status
    response.headers.update(problem.headers)
    return response


def _answer_ours(error: Gray2HueError) -> ResponseReturnValue:
    problem = problem_of(error)
    if problem.status == HTTPStatus.UNAUTHORIZED and not is_api():
        wanted = request.full_path.rstrip("?") if request.method in ("GET", "HEAD") else None
        return redirect(url_for("accounts.sign_in", next=None if wanted == "/" else wanted), HTTPStatus.SEE_OTHER)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s %s: %s (%s)", request.method, request.path, error.message, error.code, exc_info=error)
    return respond(problem)


def _answer_http(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error.get_response()
    status = HTTPStatus(error.code)
    code = CODE_OF_STATUS.get(status, status.name.lower())
    headers = {name: value for name, value in error.get_headers() if name.lower() in ("allow", "content-range")}
    return respond(Problem(status, code, error.description or status.phrase, headers))


def _answer_database(error: OperationalError) -> ResponseReturnValue:
    if getattr(error.orig, "sqlite_errorname", "") == "SQLITE_FULL":
        return _answer_ours(StorageFullError("storage_full", "There is no room left for the database."))
    log.error("%s %s: the database does not answer", request.method, request.path, exc_info=error)
    return respond(problem_of(TransientError("database_away", "The database does not answer.")))


def _answer_unexpected(error: Exception) -> ResponseReturnValue:
    log.error("%s %s failed unexpectedly", request.method, request.path, exc_info=error)
    return respond(
        Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong here; it was logged.")
    )
