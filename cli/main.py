"""The entry point: which commands there are, and how their errors are told."""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import click

from core.errors import Gray2HueError


class _Entry(NamedTuple):
    module: str
    summary: str


# Each command's module is imported only when it is asked for, so that `--help` and `--version` answer at once.
COMMANDS = {
    "bench": _Entry("cli.bench", "Measure how fast this machine colorizes."),
    "colorize": _Entry("cli.colorize", "Colorize an archive, a folder or single photographs."),
    "evaluate": _Entry("cli.evaluate", "Measure models on color photographs, beside gray."),
    "jobs": _Entry("cli.jobs", "Look after jobs: list, pause, cancel, retry, download, delete."),
    "link": _Entry("cli.link", "Print a fresh one-time link by which a person sets a password."),
    "models": _Entry("cli.model_versions", "List, promote, roll back, import and export model versions."),
    "migrate": _Entry("cli.migrate", "Bring the database up to date and register the shipped model."),
    "runs": _Entry("cli.runs", "Start, list, show and cancel training runs."),
    "train": _Entry("cli.train", "Train a model on color photographs, on this machine alone."),
    "up": _Entry("cli.up", "Run the whole stack on this machine until Ctrl-C."),
    "verify": _Entry("cli.verify", "Read all that is stored anew, and tell what is missing or damaged."),
    "verify-lightness": _Entry(
        "cli.verify_lightness", "Show that an original's gray levels can be had back from its result."
    ),
}


class CodedError(click.ClickException):
    """One of our errors as the command line tells it: a sentence and its code, exit code 1."""

    exit_code = 1

    def __init__(self, error: Gray2HueError) -> None:
        super().__init__(f"{error.message} [{error.code}]")


class LazyCommands(click.Group):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See click.Group.list_commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See click.Group.get_command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(importlib.import_module(entry.module), cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].summary) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of ours becomes one clear line instead of a traceback."""
        try:
            return super().invoke(ctx)
        except Gray2HueError as error:
            raise CodedError(error) from error
        except OSError as error:
            raise click.ClickException(f"{error.filename or 'System'}: {error.strerror or error}") from error


def _print_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    try:
        click.echo(f"gray2hue {version('gray2hue')}")
    except PackageNotFoundError:
        click.echo("gray2hue (not installed)")
    ctx.exit()


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
def main() -> None:
    """Gray2Hue colorizes archives of black-and-white photographs.

    `gray2hue up` runs everything on this machine; `gray2hue colorize photos.zip -o colored.zip` sends it work.
    """
