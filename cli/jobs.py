"""`gray2hue jobs`: looking after jobs from a terminal."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from cli.api import JobView
from cli.client import Client
from cli.connection import connected
from cli.options import stack_options
from cli.outcome import describe_photo, describe_warning, fetch_results, tell_outcome
from cli.output import choose_output
from cli.report import describe, reporting
from core.options import JobOptions


@click.group()
def jobs() -> None:
    """List, show, cancel and download jobs. An ID may be shortened to what tells it from the others."""


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
    table = Table(box=None, pad_edge=False)
    for heading in ("ID", "STATE", "FILES", "CREATED", "NAME"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for job in found:
        created = job.created_at[:16].replace("T", " ")
        table.add_row(job.id[:8], job.state, f"{job.finished}/{job.total}", created, job.name)
    Console(markup=False, highlight=False).print(table)


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
    click.echo(f"{job.name}\n  id      {job.id}\n  state   {job.state}\n  files   {describe(job)}")
    click.echo(f"  model   {job.raw['model_version']}\n  created {job.created_at}")
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
