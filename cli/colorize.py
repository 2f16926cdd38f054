"""`gray2hue colorize`: photographs in, colored photographs out, whatever has to be started for it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from cli.api import JobView
from cli.client import Client
from cli.environment import read_settings
from cli.local_stack import find_access, local_stack
from cli.options import job_options, note, stack_options
from cli.outcome import fetch_results, tell_outcome
from cli.output import Output, choose_output, result_names, result_suffix, wished_format
from cli.report import Report, reporting
from cli.upload import Upload, plan_upload
from core.errors import Gray2HueError
from core.options import JobOptions, parse_options

INTERRUPTED = 130
RESTART_S = 20.0


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="INPUT...")
@click.option("-o", "--output", "out", required=True, metavar="OUT", help="A .zip, a folder, or a picture's name.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist in OUT.")
@job_options
@stack_options
@click.pass_context
def colorize(
    ctx: click.Context,
    /,
    inputs: tuple[Path, ...],
    out: str,
    overwrite: bool,
    address: str | None,
    key: str | None,
    mark: bool,
    **texts: str | None,
) -> None:
    """Colorize a ZIP or TAR, a folder, or single photographs.

    Uses the stack that runs on this machine, or starts one and stops it afterwards. Results have their originals'
    format unless --format, or the suffix of a single picture's OUT, says another one. The exit code is 0 only if
    nothing failed; what did not come out, and what was left as it is, is listed.
    """
    upload = plan_upload(inputs, Path(out))
    original_suffix = inputs[0].suffix if upload.is_picture else None
    options = _options({**texts, "mark": str(mark)}, out, original_suffix)
    suffix = None if original_suffix is None else result_suffix(original_suffix, options.output_format)
    output = choose_output(out, suffix, overwrite)
    output.check_free(result_names(upload.names, options.output_format), upload.originals)
    try:
        with _ended_like_by_ctrl_c():
            ctx.exit(_run(upload, options, output, address, key))
    except KeyboardInterrupt:
        ctx.exit(INTERRUPTED)


def _options(texts: dict[str, str | None], out: str, original_suffix: str | None) -> JobOptions:
    given = {name: text for name, text in texts.items() if text is not None}
    if original_suffix is not None and "output_format" not in given:
        given["output_format"] = wished_format(out, original_suffix)
    return parse_options(given)


def _run(upload: Upload, options: JobOptions, output: Output, address: str | None, key: str | None) -> int:
    settings = read_settings()
    with local_stack(settings, note) as stack:
        named = find_access(settings, address, key) if address else None
        when_away = None if named else partial(stack.ensure, RESTART_S)
        with Client(named or stack.ensure(), when_away) as client, reporting() as report:
            job = client.submit(upload, options, lambda sent: report.sending(sent, upload.size_bytes))
            job = _watch(client, job, report)
            if job.counts["done"] and job.state != "expired":
                _fetch(client, job, output, report)
            report.close()
            return tell_outcome(client, job, output)


class PauseTold:
    """Shows how a job goes, and says once, each time it is paused, why nothing more happens."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._rested = ""

    def working(self, job: JobView) -> None:
        """The job stands so."""
        if job.rests and job.rests != self._rested:
            self._report.close()
            note(f"{job.name} is {job.rests}")
        self._rested = job.rests
        self._report.working(job)


def _watch(client: Client, job: JobView, report: Report) -> JobView:
    told = PauseTold(report)
    try:
        return client.watch(job.id, told.working)
    except KeyboardInterrupt:
        report.close()
        try:
            client.cancel_at_once(job.id)
            note(f"Canceled job {job.id}. What was done so far: gray2hue jobs download {job.id[:8]} -o OUT")
        except Gray2HueError as error:
            note(f"Job {job.id} could not be canceled: {error.message}")
        raise


def _fetch(client: Client, job: JobView, output: Output, report: Report) -> None:
    try:
        fetch_results(client, job, output, report.fetching)
    except (Gray2HueError, OSError, KeyboardInterrupt):
        report.close()
        note(f"The results are kept: gray2hue jobs download {job.id[:8]} -o OUT")
        raise


@contextmanager
def _ended_like_by_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and a closed terminal unwind everything as Ctrl-C does, so that no stack stays behind."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    previous = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)
