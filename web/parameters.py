"""Query parameters and parts of addresses, checked before anything else sees them."""

import re
from collections.abc import Sequence

from flask import request
from werkzeug.routing import BaseConverter, IntegerConverter

from core.errors import OptionsError
from core.records import PhotoState

ID_PATTERN = "[0-9a-f]{32}"
MAX_NUMBER = 2**31 - 1
"""What every database holds in a column of whole numbers."""
MAX_EVENT = 2**63 - 1
"""The same for the log of events, which is longer."""


class IdConverter(BaseConverter):
    """An id in an address; anything else is no such page."""

    regex = ID_PATTERN


class NameConverter(BaseConverter):
    """A name in an address, as a database can look it up."""

    regex = r"[^/\x00]{1,100}"


class NumberConverter(IntegerConverter):
    """A whole number in an address, small enough for every database."""

    regex = "[0-9]{1,9}"


def int_parameter(name: str, default: int, lowest: int, highest: int) -> int:
    """A whole number from the query; OptionsError (`bad_parameter`) when it is none or out of its range."""
    given = request.args.get(name)
    if given is None:
        return default
    if not re.fullmatch(r"-?[0-9]{1,19}", given) or not lowest <= int(given) <= highest:
        raise OptionsError("bad_parameter", f"{name} must be a whole number from {lowest} to {highest}.")
    return int(given)


def id_parameter(name: str) -> str | None:
    """An id from the query, if it is there; OptionsError (`bad_parameter`) when it is none."""
    given = request.args.get(name)
    if given is not None and not re.fullmatch(ID_PATTERN, given):
        raise OptionsError("bad_parameter", f"{name} must be an id of 32 hexadecimal digits.")
    return given


def choice_parameter(name: str, choices: Sequence[str]) -> str:
    """One of the choices, the first by default; OptionsError (`bad_parameter`) for anything else."""
    given = request.args.get(name, choices[0])
    if given not in choices:
        raise OptionsError("bad_parameter", f"{name} must be one of: {', '.join(choices)}.")
    return given


def photo_states() -> list[PhotoState]:
    """The photo states asked for by `state`, which may be there several times; none means all."""
    given = request.args.getlist("state")
    if unknown := set(given) - set(PhotoState):
        raise OptionsError("bad_parameter", f"There is no photo state {min(unknown)!r}.")
    return [PhotoState(state) for state in given]
