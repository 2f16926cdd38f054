"""What is asked of a stack for the options and the OUT that a person writes."""

import click
import pytest
from click.testing import CliRunner

from cli import colorize as colorize_module
from cli.api import JobView
from cli.colorize import PauseTold, colorize
from cli.report import PlainReport
from core.options import JobOptions


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command up to where a stack would be started; gives its result, and options and output."""
    monkeypatch.chdir(tmp_path)
    for name in ("photo.tif", "photo.jpg", "photo"):
        (tmp_path / name).write_bytes(b"picture")
    asked = []

    def record(_upload, options, output, _address, _key):
        asked.append((options, output))
        return 0

    monkeypatch.setattr(colorize_module, "_run", record)

    def invoke(*arguments):
        result = CliRunner().invoke(colorize, arguments)
        return result, asked.pop() if asked else None

    return invoke


def test_options_are_passed_on(run):
    arguments = ["--saturation", "1.2", "--network-size", "128", "--format", "png", "--quality", "80", "--mark"]
    _, (options, _) = run("photo.tif", "-o", "out.zip", *arguments, "--color-input", "colorize")
    assert options == JobOptions(
        saturation=1.2, network_edge_px=128, output_format="png", quality=80, mark=True, color_input="colorize"
    )


@pytest.mark.parametrize(
    ("name", "out", "arguments", "output_format"),
    [
        ("photo.tif", "out.tif", [], "same"),
        ("photo.tif", "out.jpg", [], "jpeg"),
        ("photo", "out.avif", [], "avif"),
        ("photo.tif", "out.zip", [], "same"),
        ("photo.tif", "out/", ["--format", "webp"], "webp"),
        ("photo.tif", "out.jpg", ["--format", "jpeg"], "jpeg"),
        ("photo.jpg", "out.jpeg", ["--format", "jpeg"], "jpeg"),
    ],
)
def test_the_format_is_what_was_asked_for_or_what_the_name_says(run, name, out, arguments, output_format):
    result, asked = run(name, "-o", out, *arguments)
    assert (result.exit_code, asked[0].output_format) == (0, output_format)


@pytest.mark.parametrize(
    ("out", "arguments", "words"),
    [
        ("out.jpg", ["--format", "png"], "The result is a .png file"),
        ("out.jpg", ["--format", "same"], "The result is a .tif file"),
        ("out.bmp", [], "The result is a .tif file"),
        ("out.zip", ["--saturation", "3"], "'--saturation': It must be a number from 0 to 2."),
        ("out.zip", ["--network-size", "big"], "'--network-size': It must be a whole number from 64 to 512."),
        ("out.zip", ["--color-input", "x"], "'--color-input': It must be skip or colorize."),
    ],
)
def test_what_cannot_be_is_a_usage_error(run, out, arguments, words):
    result, asked = run("photo.tif", "-o", out, *arguments)
    assert (result.exit_code, asked) == (click.UsageError.exit_code, None)
    assert words in " ".join(result.output.split())


def test_a_result_in_another_format_does_not_collide_with_its_original(run, tmp_path):
    result, asked = run("photo.tif", "-o", "./", "--format", "png")
    assert (result.exit_code, asked is not None) == (0, True)
    (tmp_path / "photo.png").touch()
    result, asked = run("photo.tif", "-o", "./", "--format", "png")
    assert (type(result.exception).__name__, asked) == ("InputError", None)


def view(state, paused_by="", done=0):
    counts = {"pending": 2 - done, "running": 0, "done": done, "failed": 0, "skipped": 0, "canceled": 0}
    return JobView("1" * 32, "album", state, "", "", counts, 2, False, None, None, "", {"paused_by": paused_by})


def test_a_pause_is_told_once_each_time(capsys):
    told = PauseTold(PlainReport())
    stands = [
        view("running"),
        *[view("paused", "person")] * 3,
        view("running", done=1),
        view("paused", "system", done=1),
    ]
    for job in [*stands, view("completed", done=2)]:
        told.working(job)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("album")]
    assert lines == [
        "album is paused; it goes on after: gray2hue jobs resume 11111111",
        "album is paused: no room left on the server; it goes on by itself when there is room",
    ]
