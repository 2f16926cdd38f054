"""Options and small phrases that several commands share."""

from collections.abc import Callable
from typing import Any

import click


def stack_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --address and --key, by which another stack than this machine's own is named."""
    key = click.option("--key", envvar="GRAY2HUE_API_KEY", metavar="KEY", help="API key [env GRAY2HUE_API_KEY].")
    address = click.option(
        "--address",
        envvar="GRAY2HUE_ADDRESS",
        metavar="URL",
        help="The stack's address [env GRAY2HUE_ADDRESS]. By default the stack that runs on GRAY2HUE_DATA_DIR.",
    )
    return address(key(command))


def note(line: str) -> None:
    """Tell the person something that is not the command's result."""
    click.echo(line, err=True)
