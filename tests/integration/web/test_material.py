"""Training material over the API: taken in, counted, taken back."""

import io
import resource

import pytest

from core import training_material, training_runs
from core.records import MaterialUpload, TrainingRun
from core.training_material import MaterialHint, NewTrainingPhoto
from web.app import create_app

PATH = "/api/v1/training-material"


@pytest.fixture
def root(site):
    return site.user("root", admin=True)


@pytest.fixture
def admin(site, root):
    return site.program(root)


def send_form(client, files, **fields):
    parts = [(io.BytesIO(content), name) for name, content in files]
    return client.post(PATH, data={"files": parts, **fields}, content_type="multipart/form-data")


def send_raw(client, content=b"some bytes", name="colors.zip", **options):
    return client.post(PATH, query_string={"filename": name}, data=content, content_type="application/zip", **options)


def read_in(site, upload_id):
    """What the worker does: two photographs that can be used, and a dull one."""
    keys = [f"training/{upload_id}/{number}" for number in range(2)]
    for number, key in enumerate(keys):
        site.put(key, b"photo %d" % number)
    found = [
        NewTrainingPhoto(f"{number}.jpg", key=key, sha256=f"{number}".rjust(64, "f"), width=40, height=30)
        for number, key in enumerate(keys)
    ]
    with site.database.write() as records:
        claim = training_material.claim_upload(records, upload_id, "worker", 60)
        training_material.add_photos(records, claim, [*found, NewTrainingPhoto("dull.jpg", code="dull")])
        training_material.finish_upload(records, claim)
    site.storage.delete(claim.key)


def uploads(site):
    with site.database.read() as records:
        return records.query(MaterialUpload).order_by(MaterialUpload.name).all()


def assert_nothing_is_left(site):
    assert uploads(site) == []
    assert site.left_incoming() == []
    assert list(site.storage.list("training/")) == []


def test_every_file_of_a_form_becomes_an_upload_of_its_own(site, root, admin):
    response = send_form(admin, [("Альбом/a.jpg", b"one"), ("b.zip", b"two!")], name="read over")
    assert response.status_code == 201
    assert response.headers["Location"] == PATH
    shown = response.json["uploads"]
    assert [(one["name"], one["state"], one["size_bytes"], one["counts"]) for one in shown] == [
        ("Альбом/a.jpg", "queued", 3, {"usable": 0}),
        ("b.zip", "queued", 4, {"usable": 0}),
    ]
    assert site.hints.sent == [MaterialHint(one["id"]) for one in shown]
    assert site.left_incoming() == []
    for upload, content in zip(uploads(site), (b"two!", b"one"), strict=True):
        assert upload.owner_id == root.id
        with site.storage.open(upload.key) as stream:
            assert stream.read() == content


def test_a_raw_body_becomes_an_upload(site, admin):
    response = send_raw(admin, b"zip")
    assert response.status_code == 201
    (upload,) = uploads(site)
    assert (upload.name, upload.size_bytes) == ("colors.zip", 3)
    assert admin.get(f"{PATH}/{upload.id}").json["name"] == "colors.zip"


def test_the_material_is_told_in_numbers_the_newest_upload_first(site, admin):
    first = send_raw(admin, name="first.zip").json["uploads"][0]["id"]
    send_raw(admin, name="second.zip")
    read_in(site, first)
    shown = admin.get(PATH).json
    assert [(one["name"], one["state"]) for one in shown["uploads"]] == [
        ("second.zip", "queued"),
        ("first.zip", "ready"),
    ]
    assert shown["uploads"][1]["counts"] == {"usable": 2, "dull": 1}
    summary = shown["summary"]
    assert set(summary) == {"usable", "train", "frozen", "held_out", "approved", "new"}
    assert summary["usable"] == 2 == summary["train"] + summary["frozen"] + summary["held_out"]


def test_material_that_has_not_changed_is_not_sent_again(site, admin):
    upload_id = send_raw(admin).json["uploads"][0]["id"]
    etag = admin.get(PATH).headers["ETag"]
    assert admin.get(PATH, headers={"If-None-Match": etag}).status_code == 304
    read_in(site, upload_id)
    assert admin.get(PATH, headers={"If-None-Match": etag}).status_code == 200


def test_material_that_is_withdrawn_is_gone_from_the_storage_and_from_the_sum(site, admin):
    upload_id, other = (send_raw(admin, name=name).json["uploads"][0]["id"] for name in ("a.zip", "b.zip"))
    read_in(site, upload_id)
    response = admin.delete(f"{PATH}/{upload_id}")
    assert response.status_code == 200
    assert response.json["state"] == "withdrawn"
    assert response.json["withdrawn_at"]
    assert response.json["counts"] == {"usable": 2, "dull": 1}
    assert [key.split("/")[1] for key in site.storage.list("training/")] == [other]
    assert admin.get(PATH).json["summary"]["usable"] == 0
    assert admin.delete(f"{PATH}/{upload_id}").json == response.json


def test_material_that_no_worker_has_read_yet_can_be_withdrawn(site, admin):
    upload_id = send_raw(admin).json["uploads"][0]["id"]
    assert admin.delete(f"{PATH}/{upload_id}").json["state"] == "withdrawn"
    assert list(site.storage.list("training/")) == []
    with site.database.write() as records:
        assert training_material.claim_upload(records, upload_id, "worker", 60) is None


def test_what_a_reader_left_without_a_row_goes_when_the_upload_is_withdrawn(site, admin):
    upload_id = send_raw(admin).json["uploads"][0]["id"]
    read_in(site, upload_id)
    site.put(f"training/{upload_id}/7-1", b"a photo that was stored and not recorded")
    admin.delete(f"{PATH}/{upload_id}")
    assert list(site.storage.list("training/")) == []


def test_pictures_of_what_is_withdrawn_are_served_no_more(site, admin):
    upload_id = send_raw(admin).json["uploads"][0]["id"]
    read_in(site, upload_id)
    run_id = admin.post("/api/v1/training-runs", json={}).json["id"]
    path = f"/api/v1/training-runs/{run_id}"
    with site.database.write() as records:
        claim = training_runs.claim_run(records, run_id, "trainer", 60)
        records.get_one(TrainingRun, run_id).snapshot = {"train": [], "validation": ["0".rjust(64, "f")]}
        key = f"training/runs/{run_id}/0-0-truth-1.jpg"
        site.put(key, b"jpeg")
        site.put(key.replace("-1.jpg", "-0.jpg"), b"jpeg of a trainer that died")
        training_runs.note_sample(records, claim, 0, 0, "truth", key)
    assert admin.get(f"{path}/samples/0/0/truth.jpg").status_code == 200
    admin.delete(f"{PATH}/{upload_id}")
    assert admin.get(f"{path}/samples/0/0/truth.jpg").status_code == 404
    assert admin.get(f"{path}/samples").json == {"samples": []}
    run = admin.get(path).json
    assert (run["state"], run["code"]) == ("canceled", "material_withdrawn")
    assert "colors.zip" in run["message"]
    assert list(site.storage.list("training/")) == []


def test_an_upload_that_there_is_not_is_told(admin):
    for response in (admin.get(f"{PATH}/{'0' * 32}"), admin.delete(f"{PATH}/{'0' * 32}")):
        assert (response.status_code, response.json["code"]) == (404, "no_such_upload")


def test_nobody_but_an_admin_has_to_do_with_material(site, admin):
    upload_id = send_raw(admin).json["uploads"][0]["id"]
    client = site.program(site.user("ada"))
    answers = [client.get(PATH), client.get(f"{PATH}/{upload_id}"), client.delete(f"{PATH}/{upload_id}")]
    for response in (*answers, send_raw(client), send_form(client, [("a.jpg", b"x")])):
        assert (response.status_code, response.json["code"]) == (403, "admin_only")
    assert [upload.state for upload in uploads(site)] == ["queued"]
    assert site.left_incoming() == []


@pytest.mark.parametrize(
    ("query", "body", "content_type", "status", "code"),
    [
        ("filename=a.jpg&saturation=1", b"jpeg", "image/jpeg", 422, "bad_parameter"),
        ("", b"jpeg", "image/jpeg", 422, "filename_missing"),
        ("filename=a.jpg", b"", "image/jpeg", 422, "empty_upload"),
        ("", b"{}", "application/json", 415, "unsupported_media_type"),
        ("", b"--x\r\n", "multipart/form-data; boundary=frontier", 400, "broken_form"),
    ],
)
def test_a_body_that_makes_no_sense_leaves_nothing(site, admin, query, body, content_type, status, code):
    response = admin.post(f"{PATH}?{query}", data=body, content_type=content_type)
    assert (response.status_code, response.json["code"]) == (status, code)
    assert_nothing_is_left(site)


def test_material_that_the_disk_has_no_room_for_is_told_and_leaves_nothing(site, admin):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        response = send_raw(admin, bytes(3 * 2**20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (response.status_code, response.json["code"]) == (507, "storage_full")
    assert_nothing_is_left(site)


def test_material_that_cannot_be_committed_leaves_nothing(site, admin):
    with site.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER broken BEFORE INSERT ON material_uploads WHEN NEW.name = 'b.jpg' "
            "BEGIN SELECT RAISE(ABORT, 'broken'); END"
        )
    assert send_form(admin, [("a.jpg", b"one"), ("b.jpg", b"two")]).status_code == 500
    assert_nothing_is_left(site)


def test_a_broker_that_is_away_costs_no_material(site, root, caplog):
    away = site.settings.model_copy(update={"broker_url": f"redis+socket://{site.settings.data_dir}/none"})
    app = create_app(away)
    response = send_raw(app.test_client(), headers={"Authorization": f"Bearer {site.key(root)}"})
    app.extensions["gray2hue"].database.dispose()
    assert response.status_code == 201
    assert "not sent" in caplog.text
    assert len(uploads(site)) == 1
