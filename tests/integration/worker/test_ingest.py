"""From uploads to rows."""

import hashlib
import io
import itertools

import pytest
from PIL import Image

from core.errors import StorageError
from core.options import JobOptions
from core.records import JobState, PhotoState
from worker import handlers


def test_every_file_of_an_archive_gets_its_row_with_size_and_hash(context, submit, photos, gray_jpegs, make_zip):
    submit([("box.zip", make_zip({f"a/{name}.jpg": content for name, content in gray_jpegs.items()}))])

    handlers.ingest(context, "job")

    assert [photo.path for photo in photos()] == [f"a/{name}.jpg" for name in gray_jpegs]
    for photo, content in zip(photos(), gray_jpegs.values(), strict=True):
        assert photo.sha256 == hashlib.sha256(content).hexdigest()
        assert photo.size_bytes == context.storage.size(photo.original_key) == len(content)
        assert photo.width == 400
    assert {photo.chunk for photo in photos()} == {0, 1}
    assert [hint.chunk for hint in context.hints.sent] == [0, 1]


def test_the_archive_is_let_go_once_its_files_are_stored(context, submit, job, gray_jpegs, make_zip):
    submit([("box.zip", make_zip({"a.jpg": gray_jpegs["coffee"]}))])

    handlers.ingest(context, "job")

    assert not context.storage.exists("jobs/job/uploads/0")
    assert job().ingested_at is not None


def test_a_second_worker_finds_nothing_to_unpack(context, submit, photos, gray_jpegs):
    submit([("a.jpg", gray_jpegs["coffee"])])
    handlers.ingest(context, "job")
    handlers.ingest(context, "job")
    assert len(photos()) == 1


def test_unpacking_goes_on_where_it_was_cut_off_and_gives_the_same_rows(
    context, submit, photos, gray_jpegs, make_zip, monkeypatch
):
    contents = {f"{k}.jpg": picture for k, picture in zip(range(8), itertools.cycle(gray_jpegs.values()), strict=False)}
    submit([("box.zip", make_zip(contents))])
    put, calls = context.storage.put, itertools.count()

    def breaks_at_the_sixth(key, stream):
        if next(calls) == 5:
            raise StorageError("storage_failed", "away")
        return put(key, stream)

    monkeypatch.setattr(context.storage, "put", breaks_at_the_sixth)
    with pytest.raises(StorageError):
        handlers.ingest(context, "job")
    before = [(photo.id, photo.path) for photo in photos()]
    assert 0 < len(before) < 8

    handlers.ingest(context, "job")

    assert [(photo.id, photo.path) for photo in photos()][: len(before)] == before
    assert [photo.path for photo in photos()] == list(contents)


def test_an_unexpected_failure_lists_the_archive_and_keeps_what_was_found(
    context, submit, photos, job, gray_jpegs, make_zip, monkeypatch
):
    submit([("box.zip", make_zip({f"{k}.jpg": gray_jpegs["coffee"] for k in range(8)}))])
    put, calls = context.storage.put, itertools.count()

    def breaks_at_the_sixth(key, stream):
        if next(calls) == 5:
            raise RuntimeError("a mistake of ours")
        return put(key, stream)

    monkeypatch.setattr(context.storage, "put", breaks_at_the_sixth)
    with pytest.raises(RuntimeError):
        handlers.ingest(context, "job")

    assert [photo.path for photo in photos()] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg", "box.zip"]
    assert [photo.state for photo in photos()] == [PhotoState.PENDING] * 5 + [PhotoState.FAILED]
    assert photos()[5].code == "internal_error"
    assert context.storage.exists("jobs/job/uploads/0")
    assert job().state == JobState.RUNNING
    assert job().ingested_at is not None


def test_loose_files_and_archives_may_come_in_one_job(context, submit, photos, gray_jpegs, make_zip):
    submit(
        [
            ("album/one.jpg", gray_jpegs["coffee"]),
            ("box.zip", make_zip({"two.jpg": gray_jpegs["rocket"]})),
            ("broken.zip", b"PK\3\4" + bytes(50)),
            ("album/three.jpg", gray_jpegs["chelsea"]),
        ]
    )
    handlers.ingest(context, "job")
    states = {photo.path: photo.state for photo in photos()}
    assert states == {
        "album/one.jpg": PhotoState.PENDING,
        "two.jpg": PhotoState.PENDING,
        "broken.zip": PhotoState.FAILED,
        "album/three.jpg": PhotoState.PENDING,
    }


@pytest.mark.parametrize("name", ["../../etc/passwd.jpg", "/etc/passwd.jpg", "C:\\x.jpg", "a/b/c/d/e/f.jpg"])
def test_a_hostile_name_of_a_loose_file_is_refused(context, submit, photos, gray_jpegs, name):
    submit([(name, gray_jpegs["coffee"]), ("good.jpg", gray_jpegs["coffee"])])

    handlers.ingest(context, "job")

    bad, good = photos()
    assert bad.state == PhotoState.FAILED
    assert bad.code in ("path_escapes", "path_too_deep")
    assert (good.state, good.result_path) == (PhotoState.PENDING, "good.jpg")
    assert bad.result_path == ""


@pytest.mark.parametrize(
    ("name", "output_format", "result_path"),
    [
        ("a/scan.jpg", "same", "a/scan.jpg"),
        ("a/scan.JPEG", "jpeg", "a/scan.JPEG"),
        ("a/scan.JPG", "png", "a/scan.png"),
        ("a/scan.v2.jpg", "jpeg2000", "a/scan.v2.jp2"),
        ("a/scan.tif", "same", "a/scan.tif.jpg"),
        ("a/scan.tif", "webp", "a/scan.tif.webp"),
        ("a/scan.tif", "tiff", "a/scan.tif"),
        ("a.b/scan", "avif", "a.b/scan.avif"),
    ],
)
def test_a_result_is_named_after_its_format(context, submit, photos, gray_jpegs, name, output_format, result_path):
    submit([(name, gray_jpegs["coffee"])], JobOptions(output_format=output_format))
    handlers.ingest(context, "job")
    (photo,) = photos()
    assert (photo.path, photo.result_path) == (name, result_path)


def test_results_that_change_their_format_share_no_path_either(context, submit, photos, gray_jpegs):
    submit([(name, gray_jpegs["coffee"]) for name in ("a.jpg", "a.jpeg", "A.jpe")], JobOptions(output_format="png"))
    handlers.ingest(context, "job")
    assert len({photo.result_path.casefold() for photo in photos()}) == 3
    assert {photo.result_path[-4:] for photo in photos()} == {".png"}


def test_a_scan_of_several_pages_stays_a_tiff_and_keeps_its_name(context, submit, photos):
    buffer = io.BytesIO()
    page = Image.new("L", (40, 30), 90)
    page.save(buffer, "TIFF", save_all=True, append_images=[page])
    submit([("book.tiff", buffer.getvalue())], JobOptions(output_format="jpeg"))
    handlers.ingest(context, "job")
    assert [photo.result_path for photo in photos()] == ["book.tiff"]


def test_results_never_share_a_path(context, submit, photos, gray_jpegs):
    submit([(name, gray_jpegs["coffee"]) for name in ("a.jpg", "A.JPG", "a.jpg", "é.jpg", "e\u0301.jpg", "a.tif")])

    handlers.ingest(context, "job")

    paths = [photo.result_path for photo in photos()]
    assert paths[0] == "a.jpg"
    assert len({path.casefold() for path in paths}) == 6
    assert paths[5].endswith(".jpg")


def test_a_job_canceled_before_its_unpacking_is_left_alone(context, submit, photos, job, gray_jpegs):
    from core import jobs

    submit([("a.jpg", gray_jpegs["coffee"])])
    with context.database.write() as session:
        jobs.cancel(session, "job")
    handlers.ingest(context, "job")
    assert photos() == []
    assert job().state == JobState.CANCELED
