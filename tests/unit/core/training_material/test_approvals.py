"""Results that a person approved, and took back."""

import pytest

from core import training_material as material
from core.errors import StateError
from core.records import Job, Photo, PhotoState, Split

SHA256 = "00000005" + 56 * "0"
"""Uploaded, a photograph with this hash would be frozen."""


@pytest.fixture
def result(database):
    """A photo that is done."""
    with database.write() as session:
        session.add(Job(id="job", owner_id="ada", name="box", model_version="v-test"))
        session.flush()
        session.add(
            Photo(id="p", job_id="job", position=0, path="a.jpg", state=PhotoState.DONE, result_sha256=SHA256, width=7)
        )
    return "p"


def approve(database, photo_id="p", key="approved/p"):
    with database.write() as session:
        row = material.approve_photo(session, session.get_one(Photo, photo_id), approved_by="ada", key=key)
        return row.id


def withdraw(database):
    with database.write() as session:
        return material.withdraw_approval(session, "p")


def test_an_approved_result_is_trained_on_and_never_measured_by(bench, result):
    approve(bench.database)
    (row,) = bench.rows()
    assert (row.split, row.code, row.approved_by, row.width) == (Split.TRAIN, "", "ada", 7)
    assert bench.summary() == {"usable": 1, "train": 1, "frozen": 0, "held_out": 0, "approved": 1, "new": 1}


def test_approving_twice_is_approving_once(bench, result):
    assert approve(bench.database) == approve(bench.database, key="approved/again")
    assert [row.key for row in bench.rows()] == ["approved/p"]


def test_an_approval_can_be_taken_back_and_given_again(bench, result):
    approve(bench.database)
    assert withdraw(bench.database) == ["approved/p"]
    with bench.database.read() as session:
        assert material.approved(session, ["p", "q"]) == set()
        assert material.needless_keys(session) == ["approved/p"]
    assert bench.summary()["approved"] == 0

    approve(bench.database, key="approved/p2")
    with bench.database.read() as session:
        assert material.approved(session, ["p", "q"]) == {"p"}
    assert [row.key for row in bench.rows()] == ["approved/p2"]


def test_what_was_never_approved_has_nothing_to_take_back(bench):
    assert withdraw(bench.database) == []


def test_the_same_result_approved_in_two_jobs_counts_once(bench, result):
    with bench.database.write() as session:
        session.add(Photo(id="q", job_id="job", position=1, path="b.jpg", state=PhotoState.DONE, result_sha256=SHA256))
    approve(bench.database)
    approve(bench.database, "q", "approved/q")
    assert [row.code for row in bench.rows()] == ["", "duplicate"]


def test_a_photo_without_a_result_cannot_be_approved(bench, result):
    with bench.database.write() as session:
        session.get_one(Photo, "p").state = PhotoState.FAILED
    with pytest.raises(StateError) as caught:
        approve(bench.database)
    assert caught.value.code == "not_done"
