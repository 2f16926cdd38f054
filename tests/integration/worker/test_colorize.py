"""From rows to results."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update

from core import jobs
from core.errors import StorageError
from core.records import JobState, Photo, PhotoState
from worker import handlers


@pytest.fixture
def ingested(context, submit, gray_jpegs):
    """A job of three photographs that are one chunk, unpacked."""
    submit([(f"{name}.jpg", gray_jpegs[name]) for name in ("coffee", "rocket", "chelsea")])
    handlers.ingest(context, "job")
    return context


def work(context, colorizer):
    handlers.colorize_chunk(context, colorizer, "job", 0)


def test_a_chunk_comes_out_in_color_with_previews(ingested, colorizer, photos, job):
    work(ingested, colorizer)

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


def test_the_same_photograph_gives_the_same_bytes(context, submit, colorizer, photos, gray_jpegs):
    submit([("a.jpg", gray_jpegs["coffee"]), ("b.jpg", gray_jpegs["coffee"])])
    handlers.ingest(context, "job")
    work(context, colorizer)
    first, second = photos()
    assert first.result_sha256 == second.result_sha256 != ""


def test_a_storage_that_is_away_puts_the_photos_back_unharmed(ingested, colorizer, photos, monkeypatch):
    def away(key, stream):
        raise StorageError("storage_failed", "away")

    with monkeypatch.context() as patch:
        patch.setattr(ingested.storage, "put", away)
        with pytest.raises(StorageError):
            work(ingested, colorizer)
    assert {photo.state for photo in photos()} == {PhotoState.PENDING}

    work(ingested, colorizer)
    assert {photo.state for photo in photos()} == {PhotoState.DONE}


def test_an_original_that_is_gone_fails_by_name_and_the_others_come_out(ingested, colorizer, photos, job):
    lost = photos()[1]
    ingested.storage.delete(lost.original_key)

    work(ingested, colorizer)

    assert [photo.state for photo in photos()] == [PhotoState.DONE, PhotoState.FAILED, PhotoState.DONE]
    assert photos()[1].code == "original_missing"
    assert "rocket.jpg" in photos()[1].message
    assert job().state == JobState.COMPLETED_WITH_ERRORS


def test_memory_that_runs_out_is_a_failure_and_never_gray(ingested, colorizer, photos, monkeypatch):
    def too_large(scan):
        raise MemoryError

    monkeypatch.setattr(colorizer, "colorize", too_large)
    work(ingested, colorizer)
    assert {(photo.state, photo.code, photo.result_key) for photo in photos()} == {
        (PhotoState.FAILED, "out_of_memory", "")
    }


def test_a_job_pinned_to_another_model_is_not_colorized_with_this_one(ingested, colorizer, photos, monkeypatch):
    monkeypatch.setattr(colorizer, "version", "another")
    work(ingested, colorizer)
    assert {photo.code for photo in photos()} == {"model_version_missing"}


def test_a_result_that_comes_too_late_is_thrown_away(ingested, colorizer, photos, monkeypatch):
    colorize = colorizer.colorize

    def overtaken(scan):
        with ingested.database.write() as session:
            session.execute(update(Photo).values(epoch=Photo.epoch + 1))
        return colorize(scan)

    monkeypatch.setattr(colorizer, "colorize", overtaken)
    work(ingested, colorizer)

    assert {photo.state for photo in photos()} == {PhotoState.RUNNING}
    assert list(ingested.storage.list("jobs/job/results/")) == []


def test_canceling_stops_within_the_chunk_and_keeps_what_is_done(ingested, colorizer, photos, job, monkeypatch):
    colorize = colorizer.colorize

    def canceled_meanwhile(scan):
        with ingested.database.write() as session:
            jobs.cancel(session, "job")
        return colorize(scan)

    monkeypatch.setattr(colorizer, "colorize", canceled_meanwhile)
    work(ingested, colorizer)

    assert [photo.state for photo in photos()] == [PhotoState.DONE, PhotoState.CANCELED, PhotoState.CANCELED]
    assert job().state == JobState.CANCELED


def test_a_lease_is_renewed_while_a_photograph_takes_long(ingested, colorizer, photos, monkeypatch, wait_until):
    colorize = colorizer.colorize

    def slow(scan):
        before = max(photo.lease_until for photo in photos() if photo.lease_until)
        wait_until(lambda: max(p.lease_until for p in photos() if p.lease_until) > before, 30, "a renewed lease")
        return colorize(scan)

    monkeypatch.setattr(colorizer, "colorize", slow)
    work(replace(ingested, heartbeat_s=0.05), colorizer)
    assert {photo.state for photo in photos()} == {PhotoState.DONE}


def test_a_sixteen_bit_scan_stays_one(context, submit, colorizer, photos):
    import tifffile

    ramp = np.tile(np.linspace(0, 65535, 96, dtype=np.uint16), (64, 1))
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, ramp, photometric="minisblack")
    submit([("ramp.tif", buffer.getvalue())])
    handlers.ingest(context, "job")
    work(context, colorizer)
    with context.storage.open(photos()[0].result_key) as stream:
        result = tifffile.imread(stream)
    assert result.dtype == np.uint16
    assert result.shape == (64, 96, 3)
