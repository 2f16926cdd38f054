"""The API's description, for programs."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

DOCUMENT = Path(__file__).resolve().parent.parent / "openapi.yaml"

blueprint = Blueprint("openapi", __name__)


@cache
def document() -> Any:
    """The OpenAPI document."""
    return yaml.safe_load(DOCUMENT.read_text("utf-8"))


@blueprint.get("/api/v1/openapi.json")
def show() -> ResponseReturnValue:
    """The OpenAPI 3.1 document."""
    return jsonify(document())
