"""`gray2hue jobs`: looking after jobs from a terminal."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cli.api import JobView
from cli.client import Client
from cli.connection import connected
from cli.options import stack_options
from cli.outcome import describe_photo, describe_warning, fetch_results, tell_outcome
from cli.output import choose_output
from cli.report import describe, reporting, time_left
from core.options import JobOptions

NORMAL = "normal"


@click.group()
def jobs() -> None:
    """Look after jobs. An ID may be shortened to what tells it from the others."""


@jobs.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, as the API gives it.")
@stack_options
def list_jobs(as_json: bool, address: str | None, key: str | None) -> None:
    """All jobs, newest first."""
    with connected(address, key) as client:
        found = list(client.jobs())
    if as_json:
        click.echo(json.dumps([job.raw for job in found], ensure_ascii=False, indent=2))
        return
    Console(markup=False, highlight=False).print(_table(found))


def _table(found: Sequence[JobView]) -> Table:
    """A line for each job. Only names are cut where the terminal is narrow."""
    columns = {
        "ID": [job.id[:8] for job in found],
        "STATE": [job.state for job in found],
        "FILES": [f"{job.finished}/{job.total}" for job in found],
        "LEFT": ["" if job.over else time_left(job) for job in found],
        "CREATED": [job.created_at[:16].replace("T", " ") for job in found],
        "NAME": [job.name for job in found],
    }
    if not any(columns["LEFT"]):
        del columns["LEFT"]
    table = Table(box=None, pad_edge=False)
    for heading, cells in columns.items():
        widest = max(map(len, [heading, *cells])) if heading != "NAME" else None
        table.add_column(heading, no_wrap=True, overflow="ellipsis", min_width=widest)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table


@jobs.command()
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="As JSON: the job, with its photos.")
@stack_options
def show(job_id: str, as_json: bool, address: str | None, key: str | None) -> None:
    """One job, what did not come out of it, and what came out with a warning."""
    with connected(address, key) as client:
        job = client.find_job(job_id)
        if as_json:
            whole = {**job.raw, "photos": list(client.photos(job.id))}
            click.echo(json.dumps(whole, ensure_ascii=False, indent=2))
            return
        failures = list(client.photos(job.id, ("failed", "skipped", "canceled")))
        warned = list(client.photos(job.id, warned=True)) if job.raw.get("warned") else []
    _print_job(job)
    for photo in failures:
        click.echo(f"  {photo['state']}: {describe_photo(photo)}")
    for photo in warned:
        click.echo(f"  warning: {describe_warning(photo)}")


def _print_job(job: JobView) -> None:
    click.echo(f"{job.name}\n  id      {job.id}\n  state   {job.rests or job.state}\n  files   {describe(job)}")
    click.echo(f"  model   {job.raw['model_version'] or ''}\n  created {job.created_at}")
    if expires_at := job.raw.get("expires_at"):
        click.echo(f"  kept    until {expires_at}, then originals and results are deleted")
    if (priority := job.raw.get("priority", NORMAL)) != NORMAL:
        click.echo(f"  first   {priority} priority")
    options = JobOptions.model_validate(job.raw["options"]).model_dump(exclude_defaults=True)
    if options:
        click.echo(f"  options {', '.join(f'{name}={value}' for name, value in options.items())}")
    if job.message:
        click.echo(f"  {job.message} [{job.code}]")


@jobs.command()
@click.argument("job_id", metavar="ID")
@stack_options
def cancel(job_id: str, address: str | None, key: str | None) -> None:
    """Stop a job. What is colorized already stays."""
    with connected(address, key) as client:
        job = client.cancel(client.find_job(job_id).id)
    click.echo(f"{job.name}: {job.state}")


@jobs.command()
@click.argument("job_id", metavar="ID")
@stack_options
def pause(job_id: str, address: str | None, key: str | None) -> None:
    """Let nothing more of a job be begun until it is resumed."""
    _change(job_id, "pause", address, key)


@jobs.command()
@click.argument("job_id", metavar="ID")
@stack_options
def resume(job_id: str, address: str | None, key: str | None) -> None:
    """Let a paused job go on."""
    _change(job_id, "resume", address, key)


@jobs.command()
@click.argument("job_id", metavar="ID")
@stack_options
def retry(job_id: str, address: str | None, key: str | None) -> None:
    """Work once more on the photographs of a job that failed. The others stay as they are."""
    _change(job_id, "retry", address, key)


def _change(job_id: str, what: str, address: str | None, key: str | None) -> None:
    with connected(address, key) as client:
        job = client.change(client.find_job(job_id).id, what)
    click.echo(f"{job.name}: {job.state}")


@jobs.command()
@click.argument("job_id", metavar="ID")
@click.argument("level", type=click.Choice(["low", NORMAL, "high"]))
@stack_options
def priority(job_id: str, level: str, address: str | None, key: str | None) -> None:
    """Put a job behind or before others. Only an admin may give it the high priority."""
    with connected(address, key) as client:
        job = client.prioritize(client.find_job(job_id).id, level)
    click.echo(f"{job.name}: {job.raw['priority']} priority")


@jobs.command()
@click.argument("job_id", metavar="ID")
@click.confirmation_option(prompt="The originals and results on the server are lost for good. Delete them?")
@stack_options
def delete(job_id: str, address: str | None, key: str | None) -> None:
    """Delete the originals and results of a job that is over. Its name, numbers and history stay."""
    with connected(address, key) as client:
        job = client.delete(client.find_job(job_id).id)
    click.echo(f"{job.name}: deleted")


@jobs.command()
@click.argument("job_id", metavar="ID")
@click.option("--photos", is_flag=True, help="What happened to each photograph, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as the API gives it.")
@stack_options
def events(job_id: str, photos: bool, as_json: bool, address: str | None, key: str | None) -> None:
    """What happened to a job, the oldest first."""
    with connected(address, key) as client:
        for event in client.events(client.find_job(job_id).id, "all" if photos else "job"):
            click.echo(json.dumps(event, ensure_ascii=False) if as_json else _event_line(event))


def _event_line(event: Mapping[str, Any]) -> str:
    photo = f" photo {event['photo_id'][:8]}" if event["photo_id"] else ""
    change = f"{event['from_state']} -> {event['to_state']}" if event["from_state"] else event["to_state"]
    code = f" [{event['code']}]" if event["code"] else ""
    who = event["person"] or event["actor"]
    return f"{event['at'][:19].replace('T', ' ')}{photo} {change}{code}" + (f" by {who}" if who else "")


@jobs.command()
@click.argument("job_id", metavar="ID")
@click.option("-o", "--output", "out", required=True, metavar="OUT", help="A .zip, a folder, or a picture's name.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist in OUT.")
@stack_options
@click.pass_context
def download(ctx: click.Context, job_id: str, out: str, overwrite: bool, address: str | None, key: str | None) -> None:
    """Fetch a job's results, also while it runs: what is done so far. The exit code tells whether that is all."""
    with connected(address, key) as client, reporting() as report:
        job = client.find_job(job_id)
        output = choose_output(out, _only_suffix(client, job), overwrite)
        output.check_free(())
        fetch_results(client, job, output, report.fetching)
        report.close()
        ctx.exit(tell_outcome(client, job, output))


def _only_suffix(client: Client, job: JobView) -> str | None:
    if job.counts["done"] != 1:
        return None
    (photo,) = client.photos(job.id, ("done",))
    return Path(photo["result_path"]).suffix
