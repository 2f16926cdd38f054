"""Model versions: which there are, which one new jobs get, and changing that."""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from core import registry
from core.model_store import check_stored
from core.records import AliasName, ModelVersion
from web.auth import current_admin
from web.bodies import JsonBody, Text, read_json
from web.responses import tagged_json
from web.serializers_training import aliased_name, model_json, models_json
from web.services import services

blueprint = Blueprint("models", __name__, url_prefix="/api/v1/models")


class ChangeBody(JsonBody):
    """Why the version in use is changed, in a person's words."""

    reason: Text = ""


@blueprint.get("")
def index() -> ResponseReturnValue:
    """All versions, for any signed-in person."""
    with services().database.read() as records:
        return tagged_json(models_json(records))


@blueprint.get("/<name:version>")
def show(version: str) -> ResponseReturnValue:
    """One version, for any signed-in person."""
    with services().database.read() as records:
        model = registry.get_version(records, version)
        active = registry.active_version(records).version
        return tagged_json(model_json(model, active, aliased_name(records, AliasName.CANDIDATE)))


@blueprint.post("/<name:version>/promotion")
def promote(version: str) -> ResponseReturnValue:
    """Let new jobs have this version from now on. Jobs that are there keep theirs."""
    actor, body = current_admin(), read_json(ChangeBody)
    with services().database.write() as records:
        check_usable(registry.get_version(records, version))
        registry.promote(records, version, actor.name, body.reason)
        return jsonify(models_json(records))


@blueprint.post("/rollback")
def roll_back() -> ResponseReturnValue:
    """Let new jobs have the version again that they had before."""
    actor, body = current_admin(), read_json(ChangeBody)
    with services().database.write() as records:
        change = registry.roll_back(records, actor.name, body.reason)
        check_usable(registry.get_version(records, change.version))
        return jsonify(models_json(records))


def check_usable(version: ModelVersion) -> None:
    """Raise where new jobs could not be colorized with a version; as model_store.check_stored does."""
    settings = services().settings
    check_stored(services().storage, version, settings.models_dir, settings.imported_models_dir)
