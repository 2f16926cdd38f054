"""`gray2hue link`: a way back in for somebody who forgot the password."""

import click

from cli.access import new_link
from cli.address import local_address, running_stack
from cli.environment import read_settings


@click.command()
@click.argument("name", default="admin")
def link(name: str) -> None:
    """Print a fresh one-time link by which NAME (the admin, if left out) sets a password."""
    settings = read_settings()
    setup = new_link(settings, name)
    stack = running_stack(settings.run_dir)
    local = stack.address if stack is not None else local_address(settings.host, settings.port)
    click.echo(setup.link(settings.public_url.rstrip("/") or local))
