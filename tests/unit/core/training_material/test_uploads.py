"""Uploads of training material: leases, fencing, duplicates, splits, the sweeper, withdrawing."""

import threading

import pytest

from core import training_material as material
from core.errors import NotFoundError
from core.records import MaterialState, Split, TrainingRun, utc_now
from core.training_material import MaterialHint


def test_an_upload_that_was_read_is_ready_and_its_files_are_counted_by_code(bench, photo):
    bench.read("u", photo(1), photo(2), photo(3, code="gray", key=""), photo(4, code="gray", key=""))
    bench.add("empty")
    assert bench.upload().state == MaterialState.READY
    with bench.database.read() as session:
        counts = material.counts(session, ["u", "empty"])
        assert [upload.id for upload in material.list_uploads(session)] == ["empty", "u"]
    assert counts == {"u": {"usable": 2, "gray": 2}, "empty": {"usable": 0}}


def test_an_upload_without_a_usable_photograph_fails(bench, photo):
    bench.read("u", photo(1, code="dull", key=""))
    assert (bench.upload().state, bench.upload().code) == (MaterialState.FAILED, "no_usable_photographs")


def test_only_one_worker_reads_an_upload_and_one_that_comes_late_changes_nothing(bench, photo):
    bench.add()
    late = bench.claim()
    assert bench.claim(owner="w2") is None
    bench.age(31)
    present = bench.claim(owner="w2")

    assert bench.photos(late, photo(1)) is None
    assert not bench.finish(late)
    with bench.database.write() as session:
        assert not material.renew_upload(session, late, 30)
        assert not material.fail_upload(session, late, "x", "x")
        assert material.renew_upload(session, present, 30)
    assert bench.photos(present, photo(1)) == []
    with bench.database.read() as session:
        assert material.photos_added(session, "u") == 1
        assert material.stored_keys(session, "u") == {"k/1"}


def test_a_lost_hint_is_sent_again_and_one_in_hand_is_not(bench):
    bench.add()
    assert bench.sweep() == []
    bench.age(31)
    assert bench.sweep() == [MaterialHint("u")]
    assert bench.sweep() == []
    assert bench.claim() is not None
    assert bench.sweep() == []


def test_an_upload_that_kills_its_readers_fails_after_three_without_progress(bench, photo):
    bench.add()
    for death in range(4):
        claim = bench.claim()
        assert claim is not None
        if death == 1:
            bench.photos(claim, photo(1))
        bench.age(31)
        bench.sweep()
    assert bench.claim() is None
    assert (bench.upload().state, bench.upload().code) == (MaterialState.FAILED, "worker_died")


def test_an_upload_let_go_for_a_storage_that_is_away_waits_unharmed(bench):
    bench.add()
    claim = bench.claim()
    with bench.database.write() as session:
        material.release_upload(session, claim)
    assert (bench.upload().state, bench.upload().deaths) == (MaterialState.QUEUED, 0)
    bench.age(31)
    assert bench.sweep() == [MaterialHint("u")]


def test_a_new_run_of_the_stack_reads_at_once_what_the_last_one_left(bench):
    bench.add()
    bench.claim()
    with bench.database.write() as session:
        material.take_up_uploads(session)
    assert bench.sweep() == [MaterialHint("u")]
    assert bench.claim(owner="w2") is not None


@pytest.mark.parametrize("same", ["sha256", "fingerprint"])
def test_the_same_photograph_counts_once(bench, photo, same):
    first = photo(1)
    bench.read("u", first)
    bench.add("v")
    claim = bench.claim("v")
    assert bench.photos(claim, photo(2, **{same: getattr(first, same)}), photo(3)) == ["k/2"]
    assert [(row.code, row.key) for row in bench.rows()] == [("", "k/1"), ("duplicate", ""), ("", "k/3")]


def test_a_photograph_whose_twin_was_withdrawn_is_no_duplicate(bench, photo):
    bench.read("u", photo(1))
    with bench.database.write() as session:
        material.withdraw_upload(session, "u")
    bench.read("v", photo(1))
    assert [row.code for row in bench.rows()] == ["", ""]
    assert bench.summary()["usable"] == 1


def test_of_two_readers_at_once_one_has_the_photograph_and_the_other_its_duplicate(bench, photo):
    claims = []
    for name in ("u", "v"):
        bench.add(name)
        claims.append(bench.claim(name))
    gate = threading.Barrier(2)

    def add(claim):
        gate.wait()
        bench.photos(claim, *(photo(number) for number in range(20)))

    threads = [threading.Thread(target=add, args=(claim,)) for claim in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row.code for row in bench.rows()) == [""] * 20 + ["duplicate"] * 20


def test_what_another_reader_added_meanwhile_is_compared_by_nearness(bench, photo):
    claims = {}
    for name in ("early", "u", "v"):
        bench.add(name)
        claims[name] = bench.claim(name)
    fingerprint = 0xAAAA_AAAA_AAAA_AAAA
    bench.photos(claims["u"], photo(1, share=5, fingerprint=f"{fingerprint:016x}"))
    near, far = (photo(number, fingerprint=f"{fingerprint ^ bits:016x}") for number, bits in ((2, 0b11), (3, 0b111)))
    assert bench.photos(claims["v"], near, far, photo(4, fingerprint=""), near_bits=2) == ["k/2"]
    assert [row.code for row in bench.rows()] == ["", "duplicate", "", ""]

    bench.withdraw("u")
    again = photo(5, fingerprint=f"{fingerprint:016x}")
    assert bench.photos(claims["early"], again, near_bits=2) == [], "only what is usable counts"


def test_about_a_tenth_is_frozen_and_a_tenth_held_out():
    splits = [material.split_of(f"{number * 2654435761 % 2**32:08x}", False) for number in range(10_000)]
    shares = {split: splits.count(split) / len(splits) for split in Split}
    assert shares == pytest.approx({Split.TRAIN: 0.8, Split.FROZEN: 0.1, Split.HELD_OUT: 0.1}, abs=0.02)


def test_a_settled_frozen_set_takes_no_more(bench, photo):
    bench.read("u", photo(1, share=5), photo(2, share=15), photo(3, share=50))
    assert [row.split for row in bench.rows()] == [Split.FROZEN, Split.HELD_OUT, Split.TRAIN]
    with bench.database.write() as session:
        material.lock_training(session).frozen_at = utc_now()
    bench.read("v", photo(4, share=5))
    assert bench.rows()[3].split == Split.HELD_OUT


def test_withdrawing_gives_the_keys_to_delete_and_stops_the_reader(bench, photo):
    bench.add()
    claim = bench.claim()
    bench.photos(claim, photo(1), photo(2, code="gray", key=""))
    with bench.database.write() as session:
        assert sorted(material.withdraw_upload(session, "u")) == ["k/1", "up/u"]
    assert bench.photos(claim, photo(3)) is None
    assert not bench.finish(claim)
    assert bench.upload().withdrawn_at is not None
    assert bench.summary()["usable"] == 0
    with bench.database.write() as session, pytest.raises(NotFoundError) as caught:
        material.withdraw_upload(session, "nowhere")
    assert caught.value.code == "no_such_upload"


def test_needless_bytes_are_named_until_they_are_gone(bench, photo):
    bench.read("u", photo(1), photo(2))
    bench.read("v", photo(3))
    with bench.database.write() as session:
        assert sorted(material.needless_keys(session)) == ["up/u", "up/v"]
        material.withdraw_upload(session, "v")
        assert sorted(material.needless_keys(session)) == ["k/3", "up/u", "up/v"]
        material.forget_keys(session, ["k/3", "up/u", "k/1"])
        assert material.needless_keys(session) == ["up/v"]
    assert [row.key for row in bench.rows()] == ["k/1", "k/2", ""]


def test_new_is_what_came_since_the_last_completed_run_began(bench, photo):
    bench.read("u", photo(1), photo(2, share=15))
    now = utc_now()
    with bench.database.write() as session:
        run = {"trigger": "admin", "actor": "ada", "config": {}, "parent": "v-test"}
        session.add(TrainingRun(**run, state="completed", started_at=now, finished_at=now))
        session.add(TrainingRun(**run, state="failed", started_at=utc_now()))
    bench.read("v", photo(3), photo(4))
    assert bench.summary() == {"usable": 4, "train": 3, "frozen": 0, "held_out": 1, "approved": 0, "new": 2}
