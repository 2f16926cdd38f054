"""How a job begins: forms and raw bodies, what they are called, what is refused, what is left behind."""

import io
import resource
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import OperationalError

from core import registry
from core.options import JobOptions
from core.queue import RecordedHints
from core.records import AliasName, ModelAlias
from web.app import create_app
from web.uploads import IncomingFile, storing


@pytest.fixture
def ada(site):
    return site.user("ada")


@pytest.fixture
def client(site, ada):
    return site.program(ada)


def send_raw(client, content=b"some bytes", name="a.jpg", media_type="application/octet-stream", **options):
    return client.post(
        "/api/v1/jobs", query_string={"filename": name}, data=content, content_type=media_type, **options
    )


def send_form(client, files, **fields):
    parts = [(io.BytesIO(content), name) for name, content in files]
    return client.post("/api/v1/jobs", data={"files": parts, **fields}, content_type="multipart/form-data")


def stored(site, job_id):
    with site.database.read() as records:
        job = next(job for job in site.jobs() if job.id == job_id)
        uploads = records.merge(job).uploads
    kept = []
    for upload in uploads:
        with site.storage.open(upload.key) as stream:
            kept.append((upload.name, stream.read(), upload.size_bytes))
    return kept


def assert_nothing_is_left(site):
    assert site.jobs() == []
    assert site.left_incoming() == []
    assert list(site.storage.list("jobs/")) == []


@pytest.mark.parametrize(
    "media_type", ["application/octet-stream", "application/zip", "application/x-tar", "image/tiff"]
)
def test_a_raw_body_becomes_a_job(site, client, media_type):
    response = send_raw(client, b"the bytes", "photos.zip", media_type)
    assert response.status_code == 201
    assert response.json["name"] == "photos.zip"
    assert response.json["state"] == "queued"
    assert client.get(response.headers["Location"]).json["id"] == response.json["id"]
    assert stored(site, response.json["id"]) == [("photos.zip", b"the bytes", 9)]
    assert site.left_incoming() == []


def test_a_chunked_body_becomes_a_job(site, client):
    response = send_raw(
        client, b"x" * 5000, headers={"Transfer-Encoding": "chunked"}, environ_overrides={"wsgi.input_terminated": True}
    )
    assert response.status_code == 201
    assert stored(site, response.json["id"])[0][2] == 5000


def test_a_dropped_folder_keeps_its_paths_in_any_script(site, client):
    files = [("Альбом/1931/a b.jpg", b"one"), ("Альбом/写真.tif", b"two"), ('Альбом/q"uo;te.png', b"\r\n--three--\r\n")]
    # Browsers send a quotation mark as %22.
    response = send_form(client, [(name.replace('"', "%22"), content) for name, content in files])
    assert response.status_code == 201
    assert response.json["name"] == "Альбом"
    assert stored(site, response.json["id"]) == [(name, content, len(content)) for name, content in files]


def test_no_name_of_a_client_is_ever_a_path_on_the_disk(site, client):
    names = ["../../evil.jpg", "/etc/passwd", "C:\\evil.jpg", "..", "con\0trol.jpg"]
    response = send_form(client, [(name, b"bytes") for name in names])
    assert response.status_code == 201
    everything = [path.name for path in site.settings.data_dir.rglob("*")]
    assert not any("evil" in name or "passwd" in name or "trol" in name for name in everything)
    keys = list(site.storage.list("jobs/"))
    assert sorted(keys) == [f"jobs/{response.json['id']}/uploads/{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("files", "given", "name"),
    [
        (["a.jpg"], None, "a.jpg"),
        (["folder/a.jpg"], None, "a.jpg"),
        (["folder/a.jpg", "folder/b/c.jpg"], None, "folder"),
        (["a.jpg", "b.jpg"], None, "2 files"),
        (["a.jpg"], "My  grand\nmother", "My grand mother"),
        (["a.jpg"], "x" * 500, "x" * 200),
    ],
)
def test_a_job_is_called_as_wished_or_like_what_came(client, files, given, name):
    fields = {"name": given} if given else {}
    assert send_form(client, [(file, b"bytes") for file in files], **fields).json["name"] == name


def test_a_raw_body_may_be_given_a_name(client):
    response = client.post("/api/v1/jobs?filename=a.zip&name=Attic", data=b"zip", content_type="application/zip")
    assert response.json["name"] == "Attic"


@pytest.mark.parametrize(
    ("files", "express"),
    [
        ([("a.jpg", 10)], True),
        ([("a.ZIP", 10)], False),
        ([("a.tar.gz", 10)], False),
        ([("a.jpg", 1), ("b.jpg", 1)], False),
    ],
)
def test_a_single_photograph_goes_by_the_express_queue(site, client, files, express):
    response = send_form(client, [(name, b"x" * size) for name, size in files])
    assert [(hint.job_id, hint.chunk, hint.express) for hint in site.hints.sent] == [
        (response.json["id"], None, express)
    ]
    assert site.jobs()[0].express is express


def test_a_single_photograph_of_more_than_64_mib_waits_in_line(site, client):
    send_raw(client, bytes(64 * 2**20 + 1), "big.tif")
    assert site.hints.sent[0].express is False


def test_a_job_is_pinned_to_the_model_version_in_use(site, client):
    with site.database.write() as records:
        registry.activate(records, registry.register(records, "v-new", "new", "1" * 64))
    assert send_raw(client).json["model_version"] == "v-new"


WISHES = {
    "saturation": "1.2",
    "network_edge_px": "256",
    "output_format": "jpeg",
    "quality": "90",
    "mark": "true",
    "color_input": "colorize",
}
WISHED = JobOptions(
    saturation=1.2, network_edge_px=256, output_format="jpeg", quality=90, mark=True, color_input="colorize"
)


def test_a_job_has_the_options_that_the_query_or_the_form_tells(site, client):
    by_query = client.post("/api/v1/jobs", query_string={"filename": "a.jpg"} | WISHES, data=b"jpeg")
    by_form = send_form(client, [("a.jpg", b"jpeg")], **WISHES)
    assert by_query.json["options"] == by_form.json["options"] == WISHED.model_dump()
    assert [job.options for job in site.jobs()] == [WISHED, WISHED]
    assert client.get(by_form.headers["Location"]).json["options"] == WISHED.model_dump()


def test_a_job_without_options_has_the_defaults(site, client):
    response = send_form(client, [("a.jpg", b"jpeg")], saturation="", contrast="3")
    assert response.json["options"] == JobOptions().model_dump()


def test_what_the_form_says_goes_before_the_query(client):
    parts = {"files": [(io.BytesIO(b"jpeg"), "a.jpg")], "quality": "60"}
    response = client.post("/api/v1/jobs?quality=70&saturation=0.5&name=query", data=parts)
    assert (response.json["options"]["quality"], response.json["options"]["saturation"]) == (60, 0.5)
    assert response.json["name"] == "query"


@pytest.mark.parametrize(
    ("query", "code", "word"),
    [
        ("saturation=2.5", "bad_option", "saturation must be a number from 0 to 2."),
        ("quality=many", "bad_option", "quality must be a whole number from 50 to 100."),
        ("mark=true&color_input=keep", "bad_option", "color_input must be skip or colorize."),
        ("saturatoin=1.2", "bad_parameter", "'saturatoin'"),
    ],
)
def test_a_wrong_option_in_the_query_is_refused_before_the_upload_is_read(site, client, query, code, word):
    class Untouched(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, _buffer):
            raise AssertionError("the body was read")

    body = {"wsgi.input": Untouched(), "CONTENT_LENGTH": "9"}
    for media_type in ("application/octet-stream", "multipart/form-data; boundary=frontier"):
        address = f"/api/v1/jobs?filename=a.jpg&{query}"
        response = client.post(address, content_type=media_type, environ_overrides=body)
        assert (response.status_code, response.json["code"]) == (422, code)
        assert word in response.json["detail"]
    assert_nothing_is_left(site)


def test_a_wrong_option_in_the_form_leaves_nothing(site, client):
    response = send_form(client, [("a.jpg", b"jpeg")], network_edge_px="5000")
    assert (response.status_code, response.json["code"]) == (422, "bad_option")
    assert response.json["detail"] == "network_edge_px must be a whole number from 64 to 512."
    assert_nothing_is_left(site)


@pytest.mark.parametrize("content", [b""])
def test_an_empty_body_is_refused(site, client, content):
    response = send_raw(client, content)
    assert (response.status_code, response.json["code"]) == (422, "empty_upload")
    assert_nothing_is_left(site)


@pytest.mark.parametrize("files", [[], [("", b"")], [("a.jpg", b""), ("b.jpg", b"")]])
def test_an_empty_form_is_refused(site, client, files):
    response = send_form(client, files, name="nothing")
    assert (response.status_code, response.json["code"]) == (422, "empty_upload")
    assert_nothing_is_left(site)


def test_an_empty_file_among_others_is_left_to_the_workers(site, client):
    response = send_form(client, [("a.jpg", b""), ("b.jpg", b"bytes")])
    assert [name for name, _, _ in stored(site, response.json["id"])] == ["a.jpg", "b.jpg"]


def test_a_body_that_is_larger_than_allowed_is_refused(make_site):
    site = make_site(max_upload_bytes=1000)
    client = site.program(site.user("ada"))
    assert send_raw(client, bytes(1000)).status_code == 201
    chunked = {
        "headers": {"Transfer-Encoding": "chunked"},
        "environ_overrides": {"wsgi.input_terminated": True},
    }
    assert send_raw(client, bytes(1000), **chunked).status_code == 201
    for options in ({}, chunked):
        response = send_raw(client, bytes(1001), **options)
        assert (response.status_code, response.json["code"]) == (413, "upload_too_large")
    response = send_form(client, [("a.jpg", bytes(600)), ("b.jpg", bytes(600))])
    assert (response.status_code, response.json["code"]) == (413, "upload_too_large")
    assert len(site.jobs()) == 2
    assert site.left_incoming() == []


def test_a_body_that_is_shorter_than_announced_is_refused(site, client):
    for options in ({}, {"wsgi.input_terminated": True}):
        response = send_raw(client, b"short", environ_overrides={"CONTENT_LENGTH": "100"} | options)
        assert (response.status_code, response.json["code"]) == (400, "incomplete_upload")
    assert_nothing_is_left(site)


def form_body(boundary="frontier", end=b"--frontier--\r\n", part="files", filename='; filename="a.jpg"'):
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{part}"{filename}\r\n\r\n'
    return head.encode() + b"some bytes\r\n" + end


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (form_body(end=b""), "multipart/form-data; boundary=frontier", 400, "broken_form"),
        (form_body(), "multipart/form-data; boundary=another", 400, "broken_form"),
        (form_body(), "multipart/form-data", 400, "broken_form"),
        (b"--frontier\r\n\r\nx\r\n--frontier--", "multipart/form-data; boundary=frontier", 400, "broken_form"),
        (form_body(part="photo"), "multipart/form-data; boundary=frontier", 422, "unexpected_file"),
        (b"a=b", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"{}", "application/json", 415, "unsupported_media_type"),
        (b"jpeg", "image/jpeg", 422, "filename_missing"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(site, client, body, content_type, status, code):
    response = client.post("/api/v1/jobs", data=body, content_type=content_type)
    assert (response.status_code, response.json["code"]) == (status, code)
    assert_nothing_is_left(site)


def test_a_name_beyond_all_measure_is_refused(site, client):
    response = send_form(client, [("a.jpg", b"x"), ("x" * 5000, b"x")])
    assert (response.status_code, response.json["code"]) == (422, "bad_filename")
    assert_nothing_is_left(site)


def test_more_parts_than_allowed_are_refused(make_site):
    site = make_site(max_form_parts=3)
    client = site.program(site.user("ada"))
    response = send_form(client, [(f"{number}.jpg", b"x") for number in range(4)])
    assert (response.status_code, response.json["code"]) == (413, "too_many_parts")
    assert_nothing_is_left(site)
    assert send_form(client, [(f"{number}.jpg", b"x") for number in range(3)]).status_code == 201


@contextmanager
def files_no_larger_than(limit_bytes):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_upload_that_the_disk_has_no_room_for_is_told_and_leaves_nothing(site, client):
    with files_no_larger_than(2**20):
        raw = send_raw(client, bytes(3 * 2**20))
        body = form_body(end=b"") + form_body().replace(b"some bytes", bytes(3 * 2**20))
        form = client.post("/api/v1/jobs", data=body, content_type="multipart/form-data; boundary=frontier")
    for response in (raw, form):
        assert (response.status_code, response.json["code"]) == (507, "storage_full")
    assert_nothing_is_left(site)


def test_an_upload_that_cannot_be_committed_leaves_nothing(site, client):
    with site.database.write() as records:
        records.delete(records.get_one(ModelAlias, AliasName.ACTIVE))
    response = send_form(client, [("a.jpg", b"one"), ("b.jpg", b"two")])
    assert (response.status_code, response.json["code"]) == (503, "no_model")
    assert_nothing_is_left(site)


@pytest.mark.parametrize(("outcome", "is_kept"), [(False, False), (True, True), (None, True)])
def test_after_a_failure_bytes_stay_only_where_their_record_may_be_committed(site, outcome, is_kept):
    def is_committed():
        if outcome is None:
            raise OperationalError("SELECT", {}, Exception("the database is away"))
        return outcome

    def store_and_fail():
        with storing(site.storage, ["jobs/x"], [IncomingFile("a", path, 5)], is_committed):
            assert site.storage.exists("jobs/x")
            raise ZeroDivisionError

    path = site.settings.data_dir / "file"
    path.write_bytes(b"bytes")
    with pytest.raises(ZeroDivisionError):
        store_and_fail()
    assert site.storage.exists("jobs/x") is is_kept


def test_a_broker_that_is_away_costs_no_job(site, ada, caplog):
    app = create_app(site.settings.model_copy(update={"broker_url": f"redis+socket://{site.settings.data_dir}/none"}))
    client = app.test_client()
    response = send_raw(client, headers={"Authorization": f"Bearer {site.key(ada)}"})
    app.extensions["gray2hue"].database.dispose()
    assert response.status_code == 201
    assert "not sent" in caplog.text
    assert len(site.jobs()) == 1


def test_what_a_killed_process_left_is_removed_at_the_next_start_but_no_living_upload(site):
    import os
    import time

    stale, alive = site.settings.incoming_dir / "stale", site.settings.incoming_dir / "alive"
    for folder in (stale, alive):
        folder.mkdir(parents=True)
        (folder / "0").write_bytes(b"half a photo")
    two_days_ago = time.time() - 48 * 3600
    for path in (stale / "0", stale, alive):
        os.utime(path, (two_days_ago, two_days_ago))
    app = create_app(site.settings, hints=RecordedHints())
    app.extensions["gray2hue"].database.dispose()
    assert site.left_incoming() == [alive]
