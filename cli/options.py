"""Options and small phrases that several commands share."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from core.errors import OptionsError
from core.options import JobOptions, parse_options

JOB_OPTIONS = (
    ("--saturation", "saturation", "NUMBER", "Strength of the colors: 0 is gray, 1 what the model says."),
    ("--format", "output_format", "FORMAT", "Format of the results."),
    ("--quality", "quality", "NUMBER", "Quality of results in a lossy format."),
    ("--color-input", "color_input", "WHAT", "Photographs that are in color already: leave them, or color them anew."),
    ("--network-size", "network_edge_px", "PIXELS", "Short side of the small copy that the network sees."),
)


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


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a job; each comes as its text, checked, or None where it was not given."""
    mark = click.option("--mark", is_flag=True, help="A small visible mark on each result.")
    command = mark(command)
    for flag, name, metavar, words in reversed(JOB_OPTIONS):
        field = JobOptions.model_fields[name]
        default = f" [default: {field.default}]" if field.default is not None else ""
        text = f"{words} {str(field.description).capitalize()}.{default}"
        command = click.option(flag, name, metavar=metavar, help=text, callback=_checked)(command)
    return command


def _checked(_ctx: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    if text is not None:
        try:
            parse_options({str(parameter.name): text})
        except OptionsError as error:
            raise click.BadParameter(
                f"It must be {JobOptions.model_fields[str(parameter.name)].description}."
            ) from error
    return text


def changes(pairs: Sequence[str]) -> dict[str, str]:
    """Texts such as "seed=3" by name; BadParameter for one that is not of this form."""
    named = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not name or not mark:
            raise click.BadParameter(f"{pair!r} is not of the form NAME=VALUE.", param_hint="--set")
        named[name.strip()] = value.strip()
    return named


def note(line: str) -> None:
    """Tell the person something that is not the command's result."""
    click.echo(line, err=True)
