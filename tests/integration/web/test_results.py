"""Originals, results and previews, and the ZIP of all results."""

import csv
import io
import json
import zipfile

import pytest

from core.imaging.scan import MEDIA_TYPES
from core.options import JobOptions
from core.records import JobState, PhotoState, utc_now


@pytest.fixture
def ada(site):
    return site.user("ada")


@pytest.fixture
def client(site, ada):
    return site.program(ada)


@pytest.fixture
def job(site, ada):
    return site.finished_job(ada)


def address(photo, part):
    return f"/api/v1/jobs/{photo.job_id}/photos/{photo.id}/{part}"


@pytest.mark.parametrize("media_type", sorted(MEDIA_TYPES.values()))
def test_original_and_result_come_byte_for_byte_as_what_they_are(site, client, job, media_type):
    photo = site.done_photo(job, 0, result=b"the result", media_type=media_type)
    result, original = client.get(address(photo, "result")), client.get(address(photo, "original"))
    assert result.data == b"the result"
    assert original.data == b"original of the result"
    for response in (result, original):
        assert response.content_type == media_type
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Disposition"].startswith("attachment")
        assert response.content_length == len(response.data)


def test_a_result_in_another_format_comes_as_what_it_is(site, client, job):
    photo = site.done_photo(
        job,
        0,
        path="a.tif",
        media_type="image/tiff",
        outcome={"result_media_type": "image/jpeg", "result_path": "a.jpg"},
    )
    result, original = client.get(address(photo, "result")), client.get(address(photo, "original"))
    assert (result.content_type, original.content_type) == ("image/jpeg", "image/tiff")
    assert "a.jpg" in result.headers["Content-Disposition"]


def test_a_result_from_before_its_media_type_was_noted_has_its_originals(site, client, job):
    photo = site.done_photo(job, 0, media_type="image/tiff", outcome={"result_media_type": ""})
    assert client.get(address(photo, "result")).content_type == "image/tiff"


@pytest.mark.parametrize("media_type", ["text/html", "image/svg+xml", ""])
def test_what_is_no_known_image_is_sent_as_plain_bytes(site, client, job, media_type):
    photo = site.photo(job, 0, PhotoState.FAILED, media_type=media_type)
    site.put(photo.original_key, b"<script>alert(1)</script>")
    response = client.get(address(photo, "original"))
    assert response.content_type == "application/octet-stream"
    assert response.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("path", "disposition"),
    [
        ("a/b/plain.jpg", "attachment; filename=plain.jpg"),
        ("Çà.jpg", "attachment; filename=Ca.jpg; filename*=UTF-8''%C3%87%C3%A0.jpg"),
        ("фото.jpg", "attachment; filename=.jpg; filename*=UTF-8''%D1%84%D0%BE%D1%82%D0%BE.jpg"),
        ("写真", "attachment; filename=download; filename*=UTF-8''%E5%86%99%E7%9C%9F"),
        ('quo"te;.jpg', 'attachment; filename="quo\\"te;.jpg"'),
        ("new\r\nline: x.jpg", 'attachment; filename="new__line: x.jpg"'),
    ],
)
def test_a_download_keeps_a_name_in_any_script(site, client, job, path, disposition):
    photo = site.done_photo(job, 0, path=path)
    assert client.get(address(photo, "result")).headers["Content-Disposition"] == disposition


def test_ranges_of_a_result_are_served(site, client, job):
    photo = site.done_photo(job, 0, result=bytes(range(200)))
    for given, first, last in (("bytes=10-19", 10, 19), ("bytes=190-", 190, 199), ("bytes=-5", 195, 199)):
        response = client.get(address(photo, "result"), headers={"Range": given})
        assert response.status_code == 206
        assert response.data == bytes(range(first, last + 1))
        assert response.headers["Content-Range"] == f"bytes {first}-{last}/200"
    too_far = client.get(address(photo, "result"), headers={"Range": "bytes=500-"})
    assert (too_far.status_code, too_far.json["code"]) == (416, "range_not_satisfiable")


def test_a_result_that_the_client_has_is_not_sent_again(site, client, job):
    photo = site.done_photo(job, 0)
    first = client.get(address(photo, "result"))
    again = client.get(address(photo, "result"), headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert first.headers["ETag"] != client.get(address(photo, "original")).headers["ETag"]


@pytest.mark.parametrize("size", ["preview", "thumbnail"])
def test_previews_are_jpegs_that_a_browser_keeps_for_itself(site, client, job, size):
    photo = site.done_photo(job, 0, media_type="image/tiff")
    for of, key in (("result", photo.result_key), ("original", photo.original_key)):
        response = client.get(address(photo, f"preview?of={of}&size={size}"))
        assert response.data == f"{size} of {key}".encode()
        assert response.content_type == "image/jpeg"
        assert response.headers["Cache-Control"] == "private, max-age=31536000, immutable"


def test_what_is_not_there_yet_is_told_and_not_kept(site, client, job):
    photo = site.photo(job, 0)
    for part, code in (("result", "no_result"), ("preview", "no_result"), ("preview?of=original", "object_missing")):
        response = client.get(address(photo, part))
        assert (response.status_code, response.json["code"]) == (404, code)
        assert response.headers["Cache-Control"] == "no-store"
    refused = site.photo(job, 1, PhotoState.FAILED, original_key="")
    assert client.get(address(refused, "original")).json["code"] == "no_original"
    assert client.get(address(photo, "preview?size=huge")).status_code == 422


def unzip(response):
    return zipfile.ZipFile(io.BytesIO(response.data))


def manifest(archive):
    rows = [json.loads(line) for line in archive.read("manifest.jsonl").decode().splitlines()]
    table = list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode("utf-8-sig"))))
    assert [row["path"] for row in table] == [row["path"] for row in rows]
    return {row["path"]: row for row in rows}


def test_the_zip_holds_results_under_their_paths_and_a_manifest_of_all(site, client, job):
    photos = [
        site.done_photo(job, 0, result=b"one", path="а/1.jpg"),
        site.done_photo(job, 1, result=b"two", path="2.tif"),
    ]
    site.photo(job, 2, PhotoState.FAILED, path="broken.jpg", code="truncated_image", message="broken.jpg ends early")
    site.photo(job, 3, PhotoState.SKIPPED, path="Thumbs.db", code="system_file")
    response = client.get(f"/api/v1/jobs/{job.id}/results.zip")
    assert response.content_type == "application/zip"
    assert "photos-colorized.zip" in response.headers["Content-Disposition"]
    archive = unzip(response)
    assert archive.testzip() is None
    assert archive.read("а/1.jpg") == b"one"
    assert archive.read("2.tif") == b"two"
    assert set(archive.namelist()) == {"а/1.jpg", "2.tif", "manifest.csv", "manifest.jsonl"}
    rows = manifest(archive)
    assert rows["а/1.jpg"]["result_sha256"] == photos[0].result_sha256
    assert rows["а/1.jpg"]["model_version"] == "v-test"
    assert rows["broken.jpg"]["code"] == "truncated_image"
    assert rows["Thumbs.db"]["state"] == "skipped"


def test_the_manifest_tells_how_each_photo_came_out_and_what_was_asked_for(site, ada, client):
    options = JobOptions(saturation=1.5, output_format="jpeg")
    job = site.finished_job(ada, options=options)
    outcome = {"warning": "little_color", "losses": ["alpha", "an ICC profile"], "runtime": "torch-cpu"}
    site.done_photo(job, 0, path="a.jpg", outcome=outcome)
    site.photo(job, 1, PhotoState.SKIPPED, path="b.jpg", code="already_color")
    archive = unzip(client.get(f"/api/v1/jobs/{job.id}/results.zip"))
    rows = manifest(archive)
    assert {name: rows["a.jpg"][name] for name in outcome} == outcome
    assert (rows["a.jpg"]["lightness_error_mean"], rows["a.jpg"]["lightness_error_max"]) == (0.04, 0.25)
    assert (rows["b.jpg"]["warning"], rows["b.jpg"]["losses"], rows["b.jpg"]["mean_chroma"]) == ("", [], None)
    assert rows["a.jpg"]["options"] == rows["b.jpg"]["options"] == options.model_dump()
    assert "alpha; an ICC profile" in archive.read("manifest.csv").decode("utf-8-sig")


def test_the_zip_of_more_photos_than_one_page_holds_them_all(site, client, job, monkeypatch):
    monkeypatch.setattr("web.blueprints.results.PHOTOS_PER_PAGE", 3)
    for position in range(7):
        site.done_photo(job, position, path=f"{position}.jpg")
    archive = unzip(client.get(f"/api/v1/jobs/{job.id}/results.zip"))
    assert len(archive.namelist()) == 9
    assert len(manifest(archive)) == 7


def test_the_manifest_tells_of_this_very_zip_while_the_job_runs_on(site, ada, client):
    job = site.job(ada, state=JobState.RUNNING, started_at=utc_now())
    late = site.photo(job, 0, PhotoState.RUNNING, path="late.jpg")
    site.done_photo(job, 1, path="early.jpg", result=bytes(2**20))
    response = client.get(f"/api/v1/jobs/{job.id}/results.zip", buffered=False)
    pieces = [next(response.response)]
    with site.database.write() as records:
        row = records.get(type(late), late.id)
        row.state, row.result_path, row.result_sha256 = PhotoState.DONE, "late.jpg", "1" * 64
    pieces += list(response.response)
    response.close()
    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    rows = manifest(archive)
    assert "late.jpg" not in archive.namelist()
    assert (rows["late.jpg"]["state"], rows["late.jpg"]["result_path"]) == ("running", "")
    assert rows["early.jpg"]["state"] == "done"


def test_a_result_that_is_gone_breaks_the_transfer_instead_of_looking_whole(site, client, job):
    photo = site.done_photo(job, 0)
    site.storage.delete(photo.result_key)
    with pytest.raises(Exception, match="Nothing is stored"):
        _ = client.get(f"/api/v1/jobs/{job.id}/results.zip").data
