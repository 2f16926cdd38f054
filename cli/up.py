"""`gray2hue up`: the embedded stack until Ctrl-C."""

import sys
from collections.abc import Callable
from contextlib import suppress

import click

from cli.access import SetupToken
from cli.environment import read_settings
from cli.signals import Signals
from cli.stack import Stack
from core.settings import Settings


@click.command()
@click.option("--quiet", is_flag=True, help="Say only what went wrong.")
@click.option("--while-input-open", is_flag=True, hidden=True, help="Stop when standard input ends.")
def up(quiet: bool, while_input_open: bool) -> None:
    """Run the whole stack on this machine until Ctrl-C: Redis, web server, workers and clock.

    Everything is kept in one folder, GRAY2HUE_DATA_DIR. Work that was under way is taken up again.
    """
    settings = read_settings()
    with Signals(also_stop_at_end_of=sys.stdin.fileno() if while_input_open else None) as signals:
        stack = Stack(settings, signals, _warn if quiet else _say)
        if not quiet:
            _say(f"Starting Gray2Hue on {settings.data_dir} ...")
        stack.run(_silence if quiet else _announcement(settings, stack.address))
    if not quiet:
        _say("Stopped. Unfinished work goes on at the next start.")


def _say(line: str) -> None:
    # The terminal may be gone; the stack has to be ended all the same.
    with suppress(OSError):
        click.echo(line)
        sys.stdout.flush()


def _warn(line: str) -> None:
    with suppress(OSError):
        click.echo(line, err=True)


def _silence(_setup: SetupToken | None) -> None:
    """Nobody is there to be told."""


def _announcement(settings: Settings, address: str) -> Callable[[SetupToken | None], None]:
    def announce(setup: SetupToken | None) -> None:
        _say(f"\nGray2Hue is ready:  {address}\n")
        if setup is not None:
            hours = setup.lifetime_s / 3600
            _say(f"Set the admin's password here first (works once, for {hours:g} hours):\n  {setup.link(address)}\n")
        _say(f"Logs are in {settings.logs_dir}. Ctrl-C stops everything.")

    return announce
