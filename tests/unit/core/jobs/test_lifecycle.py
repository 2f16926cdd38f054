"""A job from submission to its end, on SQLite and on PostgreSQL."""

import json

import pytest
from sqlalchemy import text

from core import jobs
from core.errors import NotFoundError, StateError
from core.jobs import Hint, NewPhoto
from core.options import JobOptions
from core.records import JobState, PhotoState, User


def test_a_job_whose_photos_are_all_done_is_completed(bench):
    assert bench.ingest([2, 1]) == [Hint("job", 0, False), Hint("job", 1, False)]
    assert bench.job().state == JobState.RUNNING

    bench.work(0)
    assert bench.job().state == JobState.RUNNING
    bench.work(1)

    assert bench.job().state == JobState.COMPLETED
    assert bench.states() == [PhotoState.DONE] * 3
    assert bench.job().finished_at is not None


def test_one_bad_photo_does_not_stop_its_neighbors(bench):
    bench.ingest([3])
    first, second, third = bench.claim(0)

    assert bench.finish(first)
    assert bench.fail(second)
    assert bench.finish(third)
    bench.finish_chunk(0)

    assert bench.states() == [PhotoState.DONE, PhotoState.FAILED, PhotoState.DONE]
    assert bench.job().state == JobState.COMPLETED_WITH_ERRORS
    assert bench.photos()[1].code == "truncated_image"


def test_a_job_keeps_only_its_window_of_chunks_in_the_queue(bench):
    hints = bench.ingest([1, 1, 1, 1, 1])

    assert [hint.chunk for hint in hints] == [0, 1]
    assert [hint.chunk for hint in bench.work(0)] == [2]
    assert [hint.chunk for hint in bench.work(2)] == [3]
    assert [hint.chunk for hint in bench.work(1)] == [4]
    assert bench.work(3) == bench.work(4) == []
    assert bench.job().state == JobState.COMPLETED


def test_a_duplicated_hint_claims_nothing_and_sends_nothing(bench):
    bench.ingest([1, 1, 1, 1])
    bench.work(0)

    assert bench.claim(0) == []
    assert bench.finish_chunk(0) == []


def test_what_came_out_of_a_photo_is_kept_with_it(bench):
    bench.ingest([1])
    (claim,) = bench.claim(0)
    losses = ("transparency, which JPEG cannot hold", "层")

    assert bench.finish(claim, warning="little_color", losses=losses, runtime="openvino-cpu")

    (photo,) = bench.photos()
    assert (photo.warning, tuple(photo.losses), photo.runtime) == ("little_color", losses, "openvino-cpu")
    assert (photo.lightness_error_mean, photo.lightness_error_max, photo.mean_chroma) == (0.04, 0.25, 12.5)
    assert photo.result_media_type == "image/jpeg"


def test_a_job_is_pinned_to_its_options_and_to_one_moment(bench):
    options = JobOptions(saturation=1.25, network_edge_px=128, output_format="jpeg", mark=True)
    bench.submit(options=options)
    claim = bench.claim_ingest()
    bench.add(claim, [NewPhoto(0, "a.jpg")])
    (first,) = bench.claim(0)
    with bench.database.write() as session:
        jobs.release_photos(session, [first])
    (again,) = bench.claim(0, "w2")

    assert claim.options == first.options == again.options == bench.job().options == options
    assert first.colorized_at == again.colorized_at == bench.job().started_at


def test_a_job_without_options_has_the_defaults_spelled_out(bench):
    bench.submit()
    with bench.database.read() as session:
        stored = session.scalar(text("SELECT options FROM jobs"))
    assert (json.loads(stored) if isinstance(stored, str) else stored) == JobOptions().model_dump(mode="json")


def test_photos_that_are_left_as_they_are_do_no_harm_to_the_job(bench):
    bench.ingest([2])
    first, second = bench.claim(0)

    assert bench.skip(first)
    assert bench.finish(second)
    bench.finish_chunk(0)

    assert bench.states() == [PhotoState.SKIPPED, PhotoState.DONE]
    assert bench.photos()[0].code == "already_color"
    assert bench.job().state == JobState.COMPLETED


def test_a_job_of_which_every_photo_is_left_as_it_is_is_completed(bench):
    bench.ingest([1])
    (claim,) = bench.claim(0)
    bench.skip(claim)
    bench.finish_chunk(0)
    assert (bench.job().state, bench.job().code) == (JobState.COMPLETED, "")


def test_it_is_completed_also_when_they_were_looked_at_before_the_unpacking_ended(bench):
    bench.submit()
    ingest = bench.claim_ingest()
    bench.add(ingest, [NewPhoto(0, "a.jpg")])
    (claim,) = bench.claim(0)
    bench.skip(claim)
    bench.finish_chunk(0)
    with bench.database.write() as session:
        jobs.finish_ingest(session, ingest)
    assert (bench.job().state, bench.job().code) == (JobState.COMPLETED, "")


def test_an_upload_without_photographs_fails_by_name(bench):
    bench.submit()
    claim = bench.claim_ingest()
    bench.add(claim, [NewPhoto(0, "notes.txt", PhotoState.SKIPPED, "not_an_image", "notes.txt: no photograph")])
    with bench.database.write() as session:
        jobs.finish_ingest(session, claim)

    assert (bench.job().state, bench.job().code) == (JobState.FAILED, "no_photographs")
    assert "photos.zip" in bench.job().message


def test_a_canceled_job_ends_once_the_photo_in_hand_is_over(bench):
    bench.ingest([1, 2])
    (claim,) = bench.claim(0)

    bench.cancel()
    assert bench.job().state == JobState.CANCELING
    assert bench.states() == [PhotoState.RUNNING, PhotoState.CANCELED, PhotoState.CANCELED]

    assert bench.finish(claim)
    bench.finish_chunk(0)
    assert bench.job().state == JobState.CANCELED
    assert bench.claim(1) == []


def test_canceling_before_any_worker_came_ends_the_job_at_once(bench):
    bench.submit()
    bench.cancel()

    assert bench.job().state == JobState.CANCELED
    assert bench.claim_ingest() is None
    with pytest.raises(StateError) as caught:
        bench.cancel()
    assert caught.value.code == "already_over"


def test_canceling_while_unpacking_voids_the_rest_of_it(bench):
    bench.submit()
    claim = bench.claim_ingest()
    bench.add(claim, [NewPhoto(0, "a.jpg")])
    bench.cancel()

    assert bench.add(claim, [NewPhoto(1, "b.jpg")]) is None
    with bench.database.write() as session:
        jobs.release_ingest(session, claim)
    assert bench.job().state == JobState.CANCELED


def test_two_results_of_a_job_cannot_share_a_path(bench):
    from sqlalchemy.exc import IntegrityError

    bench.submit()
    claim = bench.claim_ingest()
    with pytest.raises(IntegrityError):
        bench.add(claim, [NewPhoto(k, "a.jpg", result_path="a.jpg", result_path_sha256="f" * 64) for k in range(2)])


def test_a_job_is_seen_by_its_owner_and_by_admins_only(bench):
    bench.submit()
    with bench.database.write() as session:
        session.add_all([User(id="eve", name="eve"), User(id="root", name="root", is_admin=True)])
    with bench.database.read() as session:
        ada, eve, root = (session.get_one(User, name) for name in ("ada", "eve", "root"))
        assert jobs.get_job(session, "job", ada).id == jobs.get_job(session, "job", root).id == "job"
        assert jobs.list_jobs(session, eve, limit=10) == []
        with pytest.raises(NotFoundError):
            jobs.get_job(session, "job", eve)


def test_progress_counts_measures_the_rate_and_tells_the_time_left(bench):
    bench.ingest([2, 2])
    bench.work(0)
    with bench.database.read() as session:
        progress = jobs.measure_progress(session, bench.job())

    assert progress.counts.total == 4
    assert progress.counts.by_state[PhotoState.DONE] == progress.counts.left == 2
    assert progress.rate is not None
    assert progress.eta_s == pytest.approx(2 / progress.rate)


def test_photos_that_were_left_as_they_are_took_time_too(bench):
    bench.ingest([2])
    first, _ = bench.claim(0)
    bench.skip(first)
    with bench.database.read() as session:
        assert jobs.measure_progress(session, bench.job()).rate is not None


def test_photos_with_a_warning_are_counted_and_listed(bench):
    bench.ingest([3])
    first, second, third = bench.claim(0)
    bench.finish(first)
    bench.finish(second, warning="little_color")
    bench.skip(third)
    with bench.database.read() as session:
        assert jobs.measure_progress(session, bench.job()).counts.warned == 1
        assert [photo.position for photo in jobs.list_photos(session, "job", warned=True)] == [1]


def test_photos_are_listed_in_keyset_pages(bench):
    bench.ingest([5])
    with bench.database.read() as session:
        first = jobs.list_photos(session, "job", limit=3)
        rest = jobs.list_photos(session, "job", after=first[-1].position, limit=3)
    assert [photo.position for photo in [*first, *rest]] == [0, 1, 2, 3, 4]
