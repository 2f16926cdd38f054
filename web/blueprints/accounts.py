"""Signing in and out, and the one-time link that sets a password."""

from http import HTTPStatus

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from core import accounts
from core.errors import AuthenticationError, OptionsError
from core.records import User
from web.auth import begin_session, local_path
from web.problems import problem_of
from web.services import services

blueprint = Blueprint("accounts", __name__)


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> ResponseReturnValue:
    """The form, and what it sends."""
    if request.method != "POST":
        return render_template("sign_in.html", error=None)
    name, password = request.form.get("name", ""), request.form.get("password", "")
    try:
        with services().guard.attempt(name, request.remote_addr or ""), services().database.read() as records:
            user = accounts.sign_in(records, name, password)
    except AuthenticationError as error:
        problem = problem_of(error)
        # No WWW-Authenticate: a person answers in the form, not in a browser's dialog.
        return render_template("sign_in.html", error=error.message), problem.status
    begin_session(user)
    return redirect(local_path(request.args.get("next")), HTTPStatus.SEE_OTHER)


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End this browser's session."""
    session.clear()
    return redirect(url_for("accounts.sign_in"), HTTPStatus.SEE_OTHER)


@blueprint.route("/setup/<token>", methods=["GET", "POST"])
def setup(token: str) -> ResponseReturnValue:
    """Set a password by a one-time link; whoever did is signed in."""
    try:
        with services().database.read() as records:
            user = accounts.user_of_setup_link(records, token)
    except AuthenticationError as error:
        page = render_template("error.html", status=404, title="This link does not work", detail=error.message)
        return page, HTTPStatus.NOT_FOUND
    if request.method != "POST":
        return render_template("setup.html", user_name=user.name, error=None)
    try:
        user = _set_password(token, request.form.get("password", ""), request.form.get("password_again", ""))
    except OptionsError as error:
        page = render_template("setup.html", user_name=user.name, error=error.message)
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    begin_session(user)
    return redirect(url_for("pages.start"), HTTPStatus.SEE_OTHER)


def _set_password(token: str, password: str, password_again: str) -> User:
    if password != password_again:
        raise OptionsError("passwords_differ", "The two passwords are not the same.")
    with services().database.write() as records:
        return accounts.use_setup_link(records, token, password)
