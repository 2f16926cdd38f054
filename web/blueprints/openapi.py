"""The API's description, for programs."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

WEB_DIR = Path(__file__).resolve().parent.parent

PARTS = ("openapi.yaml", "openapi_training.yaml")

blueprint = Blueprint("openapi", __name__)


@cache
def document() -> Any:
    """The OpenAPI document, its two files joined."""
    whole, training = (yaml.safe_load((WEB_DIR / name).read_text("utf-8")) for name in PARTS)
    whole["paths"] |= training["paths"]
    for kind, named in training["components"].items():
        whole["components"].setdefault(kind, {}).update(named)
    return whole


@blueprint.get("/api/v1/openapi.json")
def show() -> ResponseReturnValue:
    """The OpenAPI 3.1 document."""
    return jsonify(document())
