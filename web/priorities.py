"""Priorities of jobs by their names."""

from core.errors import AuthenticationError, OptionsError
from core.records import User

NORMAL = "normal"
HIGH = "high"
PRIORITIES = {"low": -1, NORMAL: 0, HIGH: 1}


def priority_for(user: User, name: str) -> int:
    """The priority of that name.

    Raises:
        OptionsError: `bad_parameter`, when there is none.
        AuthenticationError: `admin_only`, when this person may not give it.
    """
    if name not in PRIORITIES:
        raise OptionsError("bad_parameter", f"priority must be one of: {', '.join(PRIORITIES)}.")
    if name == HIGH and not user.is_admin:
        raise AuthenticationError("admin_only", "Only an admin may let a job go before those of everybody else.")
    return PRIORITIES[name]


def priority_name(priority: int) -> str:
    """What the API calls a job's priority."""
    return next((name for name, value in PRIORITIES.items() if value == priority), NORMAL)
