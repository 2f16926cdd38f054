"""From rows to results."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from skimage.data import page
from sqlalchemy import update

from core import jobs
from core.errors import StorageError
from core.options import JobOptions
from core.records import Job, JobState, Photo, PhotoState, utc_now
from worker import handlers
from worker.handlers.housekeeping import Housekeeping


@pytest.fixture
def ingested(context, submit, gray_jpegs):
    """A job of three photographs that are one chunk, unpacked."""
    submit([(f"{name}.jpg", gray_jpegs[name]) for name in ("coffee", "rocket", "chelsea")])
    handlers.ingest(context, "job")
    return context


def work(context, workshop):
    handlers.colorize_chunk(context, workshop, "job", 0)


def test_a_chunk_comes_out_in_color_with_previews(ingested, workshop, colorizer, photos, job):
    work(ingested, workshop)

    assert job().state == JobState.COMPLETED
    for photo in photos():
        with ingested.storage.open(photo.result_key) as stream:
            result = np.asarray(Image.open(stream)).astype(int)
        assert result.shape == (photo.height, photo.width, 3)
        assert np.ptp(result, axis=2).mean() > 2
        assert (photo.model_version, photo.result_size_bytes) == (
            colorizer.version,
            ingested.storage.size(photo.result_key),
        )
        for key in (photo.original_key, photo.result_key):
            for size in ("preview", "thumbnail"):
                with ingested.storage.open(f"{key}.{size}") as stream:
                    assert max(Image.open(stream).size) <= 400


def test_the_same_photograph_gives_the_same_bytes(context, submit, workshop, colorizer, photos, gray_jpegs):
    submit([("a.jpg", gray_jpegs["coffee"]), ("b.jpg", gray_jpegs["coffee"])])
    handlers.ingest(context, "job")
    work(context, workshop)
    first, second = photos()
    assert first.result_sha256 == second.result_sha256 != ""


def test_a_storage_that_is_away_puts_the_photos_back_unharmed(ingested, workshop, colorizer, photos, monkeypatch):
    def away(key, stream):
        raise StorageError("storage_failed", "away")

    with monkeypatch.context() as patch:
        patch.setattr(ingested.storage, "put", away)
        with pytest.raises(StorageError):
            work(ingested, workshop)
    assert {photo.state for photo in photos()} == {PhotoState.PENDING}

    work(ingested, workshop)
    assert {photo.state for photo in photos()} == {PhotoState.DONE}


def test_an_original_that_is_gone_fails_by_name_and_the_others_come_out(ingested, workshop, colorizer, photos, job):
    lost = photos()[1]
    ingested.storage.delete(lost.original_key)

    work(ingested, workshop)

    assert [photo.state for photo in photos()] == [PhotoState.DONE, PhotoState.FAILED, PhotoState.DONE]
    assert photos()[1].code == "original_missing"
    assert "rocket.jpg" in photos()[1].message
    assert job().state == JobState.COMPLETED_WITH_ERRORS


def test_memory_that_runs_out_is_a_failure_and_never_gray(ingested, workshop, colorizer, photos, monkeypatch):
    def too_large(*_arguments):
        raise MemoryError

    monkeypatch.setattr(colorizer, "colorize", too_large)
    work(ingested, workshop)
    assert {(photo.state, photo.code, photo.result_key) for photo in photos()} == {
        (PhotoState.FAILED, "out_of_memory", "")
    }


def test_a_job_pinned_to_a_model_that_is_not_here_is_not_colorized_with_another(ingested, workshop, colorizer, photos):
    colorizer.version = "another"
    work(ingested, workshop)
    assert {photo.code for photo in photos()} == {"model_version_missing"}


def test_a_result_that_comes_too_late_is_thrown_away(ingested, workshop, colorizer, photos, monkeypatch):
    colorize = colorizer.colorize

    def overtaken(*arguments):
        with ingested.database.write() as session:
            session.execute(update(Photo).values(epoch=Photo.epoch + 1))
        return colorize(*arguments)

    monkeypatch.setattr(colorizer, "colorize", overtaken)
    work(ingested, workshop)

    assert {photo.state for photo in photos()} == {PhotoState.RUNNING}
    assert list(ingested.storage.list("jobs/job/results/")) == []


def overtaken_by(context, colorizer, monkeypatch, happens):
    """Let something happen before the colors of the first photograph are there."""
    colorize, calls = colorizer.colorize, []

    def late(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            with context.database.write() as session:
                happens(session)
            Housekeeping().retire(context)
            with context.database.read() as session:
                assert session.get_one(Job, "job").purged_at is not None
        return colorize(*arguments)

    monkeypatch.setattr(colorizer, "colorize", late)


def test_a_worker_that_comes_back_after_its_job_was_deleted_leaves_nothing(
    ingested, workshop, colorizer, photos, monkeypatch
):
    def cancel_take_back_and_delete(session):
        jobs.cancel(session, "job")
        session.execute(update(Photo).where(Photo.state == PhotoState.RUNNING).values(lease_until=utc_now()))
        jobs.sweep(session, ingested.job_limits)
        jobs.expire(session, "job", "ada")

    overtaken_by(ingested, colorizer, monkeypatch, cancel_take_back_and_delete)
    work(ingested, replace(workshop, threads=1))
    assert list(ingested.storage.list("jobs/job/")) == []
    assert {(photo.state, photo.result_key) for photo in photos()} == {(PhotoState.CANCELED, "")}


def test_of_a_failed_job_that_was_deleted_nothing_comes_out_any_more(
    ingested, workshop, colorizer, photos, monkeypatch
):
    def fail_and_delete(session):
        session.execute(update(Job).values(state=JobState.FAILED))
        session.expire_all()
        jobs.expire(session, "job", "ada")

    overtaken_by(ingested, colorizer, monkeypatch, fail_and_delete)
    work(ingested, replace(workshop, threads=1))
    assert list(ingested.storage.list("jobs/job/")) == []
    assert photos()[0].state == PhotoState.CANCELED
    assert {photo.result_key for photo in photos()} == {""}


def test_canceling_stops_within_the_chunk_and_keeps_what_is_done(
    ingested, workshop, colorizer, photos, job, monkeypatch
):
    colorize = colorizer.colorize

    def canceled_meanwhile(*arguments):
        with ingested.database.write() as session:
            jobs.cancel(session, "job")
        return colorize(*arguments)

    monkeypatch.setattr(colorizer, "colorize", canceled_meanwhile)
    work(ingested, replace(workshop, threads=1))

    assert [photo.state for photo in photos()] == [PhotoState.DONE, PhotoState.CANCELED, PhotoState.CANCELED]
    assert job().state == JobState.CANCELED


def test_a_lease_is_renewed_while_a_photograph_takes_long(
    ingested, workshop, colorizer, photos, monkeypatch, wait_until
):
    colorize = colorizer.colorize

    def slow(*arguments):
        before = max(photo.lease_until for photo in photos() if photo.lease_until)
        wait_until(lambda: max(p.lease_until for p in photos() if p.lease_until) > before, 30, "a renewed lease")
        return colorize(*arguments)

    monkeypatch.setattr(colorizer, "colorize", slow)
    work(replace(ingested, heartbeat_s=0.05), workshop)
    assert {photo.state for photo in photos()} == {PhotoState.DONE}


def test_a_sixteen_bit_scan_stays_one(context, submit, workshop, colorizer, photos):
    import tifffile

    ramp = np.tile(np.linspace(0, 65535, 96, dtype=np.uint16), (64, 1))
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, ramp, photometric="minisblack")
    submit([("ramp.tif", buffer.getvalue())])
    handlers.ingest(context, "job")
    work(context, workshop)
    with context.storage.open(photos()[0].result_key) as stream:
        result = tifffile.imread(stream)
    assert result.dtype == np.uint16
    assert result.shape == (64, 96, 3)


def test_outcomes_carry_what_was_measured(ingested, workshop, colorizer, photos):
    work(ingested, workshop)
    for photo in photos():
        assert (photo.runtime, photo.result_media_type) == (colorizer.runtime.name, "image/jpeg")
        assert 0 < photo.lightness_error_mean <= 0.10
        assert photo.lightness_error_max <= 0.30
        assert photo.mean_chroma > 1


def test_color_and_line_art_are_skipped_by_name_while_gray_comes_out(
    context, submit, workshop, photos, job, photographs, gray_jpegs
):
    buffer = io.BytesIO()
    Image.fromarray((page() > 120).repeat(3, axis=0).repeat(3, axis=1)).save(buffer, "PNG")
    submit([("color.png", photographs["coffee"]), ("text.png", buffer.getvalue()), ("gray.jpg", gray_jpegs["rocket"])])
    handlers.ingest(context, "job")
    work(context, workshop)
    found = [(photo.state, photo.code) for photo in photos()]
    assert found == [(PhotoState.SKIPPED, "already_color"), (PhotoState.SKIPPED, "no_tones"), (PhotoState.DONE, "")]
    assert job().state == JobState.COMPLETED


def test_what_a_job_asks_for_is_done(context, submit, workshop, photos, photographs):
    wished = JobOptions(color_input="colorize", output_format="tiff", saturation=0)
    submit([("color.png", photographs["coffee"])], options=wished)
    handlers.ingest(context, "job")
    work(context, workshop)
    (photo,) = photos()
    with context.storage.open(photo.result_key) as stream:
        result = Image.open(stream)
        assert result.format == "TIFF"
        assert np.ptp(np.asarray(result).astype(int), axis=2).max() <= 1
    assert (photo.result_path, photo.result_media_type) == ("color.tif", "image/tiff")


def test_what_is_at_work_comes_out_although_the_storage_fails_for_a_neighbor(ingested, workshop, photos, monkeypatch):
    second = photos()[1].id
    put = ingested.storage.put

    def fails_for_one(key, stream):
        if second in key:
            raise StorageError("storage_failed", "away")
        return put(key, stream)

    monkeypatch.setattr(ingested.storage, "put", fails_for_one)
    with pytest.raises(StorageError):
        work(ingested, replace(workshop, threads=3))
    assert [photo.state for photo in photos()] == [PhotoState.DONE, PhotoState.PENDING, PhotoState.DONE]


def test_pausing_stops_within_the_chunk_and_what_was_not_begun_waits(
    ingested, workshop, colorizer, photos, job, monkeypatch
):
    colorize = colorizer.colorize

    def paused_meanwhile(*arguments):
        with ingested.database.write() as session:
            jobs.pause(session, "job", "user:ada")
        return colorize(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(colorizer, "colorize", paused_meanwhile)
        work(ingested, replace(workshop, threads=1))
    assert [photo.state for photo in photos()] == [PhotoState.DONE, PhotoState.PENDING, PhotoState.PENDING]
    assert job().state == JobState.PAUSED

    with ingested.database.write() as session:
        jobs.resume(session, "job", "user:ada", ingested.job_limits)
    work(ingested, workshop)
    assert {photo.state for photo in photos()} == {PhotoState.DONE}
    assert job().state == JobState.COMPLETED


def test_a_message_is_a_turn_whoevers_it_is(context, submit, workshop, gray_jpegs):
    for job_id in ("large", "small"):
        count = 6 if job_id == "large" else 1
        submit([(f"{number}.jpg", gray_jpegs["coffee"]) for number in range(count)], job_id=job_id)
        handlers.ingest(context, job_id)
    for number in range(2):
        handlers.colorize_chunk(context, workshop, "large", number)
    with context.database.read() as session:
        assert session.get(Job, "small").state == JobState.COMPLETED
        assert jobs.count_photos(session, ["large"])["large"].by_state[PhotoState.DONE] == 3


def test_a_message_of_a_job_that_is_gone_does_nothing(context, workshop):
    handlers.colorize_chunk(context, workshop, "nothing", 0)
    assert context.hints.sent == []
