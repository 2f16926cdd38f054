"""What a person is told at the end of a job, and the exit code."""

import pytest

from cli.api import JobView
from cli.outcome import tell_outcome
from cli.output import Output, OutputKind


class Photos:
    """Answers for the photos of a job as a Client does."""

    def __init__(self, photos):
        self._photos = photos

    def photos(self, _job_id, states=(), warned=False):
        yield from (
            photo
            for photo in self._photos
            if (not states or photo["state"] in states) and (not warned or photo["warning"])
        )


def photo(path, state, code="", message="", warning=""):
    return {"path": path, "state": state, "code": code, "message": message, "warning": warning}


def outcome(*photos, state="completed"):
    counts = dict.fromkeys(("pending", "running", "done", "failed", "skipped", "canceled"), 0)
    for one in photos:
        counts[one["state"]] += 1
    raw = {"warned": sum(bool(one["warning"]) for one in photos)}
    job = JobView("1" * 32, "box.zip", state, "", "", counts, len(photos), False, None, None, "", raw)
    return tell_outcome(Photos(photos), job, Output(OutputKind.ZIP, "out.zip"))


def test_a_job_that_came_out_whole_is_one_line(capsys):
    assert outcome(photo("a.jpg", "done"), photo("b.jpg", "done")) == 0
    assert capsys.readouterr().err == "box.zip: 2 colorized -> out.zip\n"


@pytest.mark.parametrize("code", ["already_color", "no_tones"])
def test_photographs_that_are_left_as_they_are_are_listed_and_are_no_failure(capsys, code):
    left = photo("b.jpg", "skipped", code, "b.jpg: It is in color already.")
    assert outcome(photo("a.jpg", "done"), left, photo("notes.txt", "skipped", "not_an_image")) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"b.jpg: It is in color already. [{code}]",
        "box.zip: 1 colorized, 1 left as it is, 1 skipped as no photographs -> out.zip",
    ]


def test_a_job_of_which_everything_was_left_as_it_is_has_no_results_and_no_failure(capsys):
    left = [photo(name, "skipped", "already_color", f"{name}: in color") for name in ("a.jpg", "b.jpg")]
    assert outcome(*left) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "box.zip: 0 colorized, 2 left as they are"


def test_warnings_are_told_by_name(capsys):
    assert outcome(photo("fog.jpg", "done", warning="little_color"), photo("a.jpg", "done")) == 0
    assert capsys.readouterr().err.splitlines()[0] == "fog.jpg: the model found little color in it [little_color]"


def test_a_failure_is_told_and_makes_the_exit_code_1(capsys):
    failed = photo("b.jpg", "failed", "truncated_image", "b.jpg: The file ends before its picture does.")
    assert outcome(photo("a.jpg", "done"), failed, state="completed_with_errors") == 1
    assert capsys.readouterr().err.splitlines() == [
        "b.jpg: The file ends before its picture does. [truncated_image]",
        "box.zip: 1 colorized, 1 failed -> out.zip",
    ]


def test_a_job_that_was_deleted_meanwhile_has_no_results(capsys):
    assert outcome(photo("a.jpg", "done"), state="expired") == 1
    assert capsys.readouterr().err.splitlines() == [
        "box.zip was deleted, with its originals and results.",
        "box.zip: 1 colorized",
    ]
