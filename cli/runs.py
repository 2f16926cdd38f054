"""`gray2hue runs`: having models trained by a stack's trainer, from a terminal."""

import json
from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cli.client import Client, only_match
from cli.connection import connected
from cli.options import changes, stack_options

RUNS = "/api/v1/training-runs"
ID_CHARACTERS = 32
SHOWN_LAST = ("loss", "val_de00", "val_cf", "val_dcf", "val_cf_error", "images_per_s")


@click.group()
def runs() -> None:
    """Start, list, show and cancel training runs. An ID may be shortened to what tells it from the others.

    The stack's trainer works on one run at a time, on the training material that admins brought.
    """


@runs.command()
@click.option("--recipe", metavar="NAME", help="fine-tune (the default), default (from nothing) or quick (a trial).")
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Change an option of the recipe; repeatable.")
@click.option("--parent", metavar="VERSION", help="The model version to begin from. By default the one in use.")
@click.option("--json", "as_json", is_flag=True, help="The run as JSON.")
@stack_options
def start(
    recipe: str | None, pairs: tuple[str, ...], parent: str | None, as_json: bool, address: str | None, key: str | None
) -> None:
    """Have a model trained, once the runs before it are over."""
    wish = {"trigger": "cli", "options": changes(pairs), "recipe": recipe, "parent": parent}
    with connected(address, key) as client:
        run = client.post(RUNS, {name: value for name, value in wish.items() if value is not None})
    if as_json:
        _print_json(run)
    else:
        click.echo(f"Training run {run['id'][:8]} is {run['state']}: {_recipe(run)} from {run['parent']}.")
        click.echo(f"See how it goes with: gray2hue runs show {run['id'][:8]}")


@runs.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, as the API gives it.")
@stack_options
def list_runs(as_json: bool, address: str | None, key: str | None) -> None:
    """All runs, newest first."""
    with connected(address, key) as client:
        found = list(client.pages(f"{RUNS}?limit=100", "runs"))
    if as_json:
        _print_json(found)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("ID", "STATE", "STEPS", "RECIPE", "BY", "CREATED", "VERDICT", "MODEL"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for run in found:
        created = run["created_at"][:16].replace("T", " ")
        steps = f"{run['step']}/{run['steps_total']}"
        outcome = (run["verdict"] or run["code"], run["candidate"] or "")
        table.add_row(run["id"][:8], run["state"], steps, _recipe(run), run["actor"], created, *outcome)
    Console(markup=False, highlight=False).print(table)


@runs.command()
@click.argument("run_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="As JSON: the run, with the points of its curve.")
@stack_options
def show(run_id: str, as_json: bool, address: str | None, key: str | None) -> None:
    """One run: how far it has come, what was measured last, and what came of it."""
    with connected(address, key) as client:
        run = _find(client, run_id)
        points = client.get(run["links"]["points"])["points"]
    if as_json:
        _print_json({**run, "points": points})
    else:
        _print_run(run, points[-1] if points else {})


@runs.command()
@click.argument("run_id", metavar="ID")
@stack_options
def cancel(run_id: str, address: str | None, key: str | None) -> None:
    """Stop a run. No model comes of it."""
    with connected(address, key) as client:
        run = client.post(_find(client, run_id)["links"]["cancel"], {})
    click.echo(f"{run['id'][:8]}: {run['state']}")


def _find(client: Client, prefix: str) -> dict[str, Any]:
    if len(prefix) == ID_CHARACTERS:
        run: dict[str, Any] = client.get(f"{RUNS}/{prefix}")
        return run
    found = client.pages(f"{RUNS}?limit=100", "runs")
    return only_match("training run", prefix, [(run["id"], run) for run in found])


def _print_run(run: Mapping[str, Any], last: Mapping[str, Any]) -> None:
    phase = f", {run['phase']}" if run["phase"] else ""
    photos = ", ".join(f"{count} {name}" for name, count in run["snapshot"]["counts"].items())
    lines = {
        "state": run["state"] + phase,
        "steps": f"{run['step']} of {run['steps_total']}",
        "recipe": f"{_recipe(run)}, from {run['parent']}",
        "asked": f"by {run['actor']} ({run['trigger']}), {run['created_at']}",
        "photos": photos,
        "last": ", ".join(f"{name} {last[name]:.4g}" for name in SHOWN_LAST if last.get(name) is not None),
        "model": run["candidate"],
        "verdict": run["verdict"],
    }
    click.echo(f"Training run {run['id']}")
    for name, value in lines.items():
        if value:
            click.echo(f"  {name:<8}{value}")
    if run["verdict_reason"]:
        click.echo(f"  {run['verdict_reason']}")
    if run["code"]:
        click.echo(f"  {run['message']} [{run['code']}]")


def _recipe(run: Mapping[str, Any]) -> str:
    return str(run["config"].get("recipe", ""))


def _print_json(content: Any) -> None:
    click.echo(json.dumps(content, ensure_ascii=False, indent=2))
