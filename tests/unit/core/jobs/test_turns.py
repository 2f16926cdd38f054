"""Whose chunk comes next, on SQLite and on PostgreSQL."""

import itertools

import pytest

from core import jobs
from core.jobs import NewPhoto
from core.records import Job, User


class Hall:
    """Jobs of several owners, unpacked, and a worker that takes whatever is next."""

    def __init__(self, bench):
        self.bench = bench
        self.database = bench.database

    def job(self, job_id, owner, chunks, *, express=False, priority=0):
        with self.database.write() as session:
            session.merge(User(id=owner, name=owner))
        with self.database.write() as session:
            facts = {"name": job_id, "model_version": "v-test", "uploads": [("a", "k", 1)]}
            jobs.submit(session, job_id=job_id, owner_id=owner, express=express, priority=priority, **facts)
            claim = jobs.claim_ingest(session, job_id, "intake", self.bench.limits)
            for number in range(chunks):
                path = f"{number}.jpg"
                jobs.add_photos(session, claim, [NewPhoto(number, path, original_key="o")], self.bench.limits)
            jobs.finish_ingest(session, claim)

    def turn(self, job_id="large", number=0):
        """The job whose chunk is worked on for a message that names one of `job_id`."""
        with self.database.write() as session:
            work = jobs.claim_next(session, job_id, number, "w1", self.bench.limits)
        if work is None:
            return None
        for claim in work.claims:
            assert self.bench.finish(claim)
        with self.database.write() as session:
            jobs.finish_chunk(session, work.job_id, work.number, self.bench.limits)
        return work.job_id

    def turns(self, count):
        return [self.turn() for _ in range(count)]


@pytest.fixture
def hall(bench):
    return Hall(bench)


def test_a_small_job_behind_a_large_one_comes_within_two_chunks(hall):
    hall.job("large", "ada", 30)
    hall.turns(3)
    hall.job("small", "bob", 1)
    assert "small" in hall.turns(2)


def test_a_small_job_behind_a_large_one_of_the_same_owner_does_too(hall):
    hall.job("large", "ada", 30)
    hall.turns(3)
    hall.job("small", "ada", 1)
    assert "small" in hall.turns(2)


def test_owners_take_turns_however_many_jobs_each_has(hall):
    for number in range(5):
        hall.job(f"ada-{number}", "ada", 4)
    hall.job("bob", "bob", 4)
    served = [job_id.split("-")[0] for job_id in hall.turns(8)]
    assert served.count("bob") == 4
    assert all(first != second for first, second in itertools.pairwise(served))


def test_jobs_of_one_owner_take_turns(hall):
    hall.job("first", "ada", 3)
    hall.job("second", "ada", 3)
    assert hall.turns(6) == ["first", "second"] * 3


def test_a_higher_priority_comes_before_all_others_and_a_lower_one_after_them(hall):
    hall.job("low", "ada", 2, priority=-1)
    hall.job("normal", "bob", 2)
    hall.job("high", "cyd", 2, priority=1)
    assert hall.turns(6) == ["high", "high", "normal", "normal", "low", "low"]


def test_a_priority_may_be_changed_on_the_way(hall):
    hall.job("first", "ada", 3)
    hall.job("second", "bob", 3)
    with hall.database.write() as session:
        jobs.set_priority(session, "second", 1)
    assert hall.turns(3) == ["second"] * 3


def test_a_single_picture_comes_before_the_owners_other_jobs(hall):
    hall.job("album", "ada", 3)
    hall.job("picture", "ada", 1, express=True)
    assert hall.turn("picture") == "picture"


def test_every_message_is_a_turn_until_nothing_is_left(hall):
    hall.job("large", "ada", 3)
    hall.job("small", "bob", 2)
    assert sorted(hall.turns(5)) == ["large"] * 3 + ["small"] * 2
    assert hall.turn() is None


def test_a_message_of_a_job_that_is_gone_serves_another(hall):
    hall.job("small", "bob", 1)
    assert hall.turn("gone") == "small"
    assert hall.turn("gone") is None


def test_turns_are_noted(hall):
    hall.job("large", "ada", 2)
    hall.turn()
    with hall.database.read() as session:
        assert session.get_one(Job, "large").last_served_at == session.get_one(User, "ada").last_served_at
        assert session.get_one(User, "ada").last_served_at is not None
