"""A client for the commands that look after a stack which runs already."""

from collections.abc import Iterator
from contextlib import contextmanager

from cli.client import Client
from cli.environment import read_settings
from cli.local_stack import find_access
from core.errors import SetupError


@contextmanager
def connected(address: str | None, key: str | None) -> Iterator[Client]:
    """A client for the stack that the person named, or for the data folder's.

    Raises:
        SetupError: `not_running`, when nothing was named and none runs.
        AuthenticationError: `no_key`.
    """
    settings = read_settings()
    access = find_access(settings, address, key)
    if access is None:
        raise SetupError("not_running", f"No Gray2Hue runs on {settings.data_dir}. Start it with: gray2hue up")
    with Client(access) as client:
        yield client
