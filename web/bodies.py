"""JSON bodies, checked before anything else sees them."""

from typing import Annotated, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from core.errors import InputError, OptionsError

NO_NUL = r"^[^\x00]*$"
Name = Annotated[str, StringConstraints(max_length=200, pattern=NO_NUL)]
Text = Annotated[str, StringConstraints(max_length=2000, pattern=NO_NUL)]
"""Words of a person. No database holds the character NUL."""


class JsonBody(BaseModel):
    """What a body may hold; a member that is not described is refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Body = TypeVar("Body", bound=JsonBody)


def read_json(kind: type[Body]) -> Body:
    """The request's body; none at all is the same as an empty object.

    Raises:
        InputError: `unsupported_media_type`, or `broken_json` for what is no JSON.
        OptionsError: `bad_parameter`, for a member that is unknown, missing or out of its range.
    """
    content = request.get_data(cache=False)
    if not content:
        content = b"{}"
    elif not request.is_json:
        raise InputError("unsupported_media_type", "The body must be application/json.")
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise _told(error) from error


def _told(error: ValidationError) -> InputError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return InputError("broken_json", f"The body is no JSON: {first['msg'].partition(': ')[2]}.")
    where = ".".join(str(part) for part in first["loc"]) or "The body"
    return OptionsError("bad_parameter", f"{where}: {first['msg']}.")
