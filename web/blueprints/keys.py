"""API keys: the page that makes, lists and revokes them."""

from http import HTTPStatus

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core import accounts
from web.auth import current_user
from web.serializers import key_json
from web.services import services

blueprint = Blueprint("keys", __name__)


@blueprint.get("/keys")
def index() -> ResponseReturnValue:
    """The person's keys."""
    return _page(new_key=None)


@blueprint.post("/keys")
def create() -> ResponseReturnValue:
    """Make a key and show its token, this once."""
    with services().database.write() as records:
        _, token = accounts.make_api_key(records, current_user(), request.form.get("name", ""))
    return _page(new_key=token), HTTPStatus.CREATED


@blueprint.post("/keys/<id:key_id>/revoke")
def revoke(key_id: str) -> ResponseReturnValue:
    """Make a key worthless."""
    with services().database.write() as records:
        accounts.revoke_api_key(records, current_user(), key_id)
    return redirect(url_for("keys.index"), HTTPStatus.SEE_OTHER)


def _page(new_key: str | None) -> str:
    with services().database.read() as records:
        keys = [key_json(key) for key in accounts.list_api_keys(records, current_user())]
    return render_template("keys.html", keys=keys, new_key=new_key)
