"""Model versions over the API: who may look, who may change the one in use, and what comes of it."""

import shutil

import pytest

from core import registry
from core.records import ModelSource
from web.serializers_training import PROMOTIONS_SHOWN


@pytest.fixture
def versions(site):
    """A trained version that awaits a decision, beside the one in use."""
    for version in ("v-next", "v-test"):
        site.have_model(version)
    with site.database.write() as records:
        registry.register(
            records,
            "v-next",
            "test",
            "1" * 64,
            source=ModelSource.TRAINED,
            parent="v-test",
            metrics={"de00": 10.5, "cf": 31.0},
            card="# v-next",
        )
        registry.set_candidate(records, "v-next")


@pytest.fixture
def admin(site):
    return site.program(site.user("root", admin=True))


@pytest.fixture
def client(site):
    return site.program(site.user("ada"))


@pytest.mark.usefixtures("versions")
def test_any_signed_in_person_sees_the_versions_and_how_they_came_into_use(client):
    shown = client.get("/api/v1/models").json
    assert (shown["active"], shown["candidate"]) == ("v-test", "v-next")
    newest = shown["models"][0]
    assert newest | {"version": "v-next", "source": "trained", "parent": "v-test", "card": "# v-next"} == newest
    assert newest["metrics"] == {"de00": 10.5, "cf": 31.0}
    assert [(model["is_active"], model["is_candidate"]) for model in shown["models"]] == [(False, True), (True, False)]
    assert [(one["version"], one["kind"], one["previous"]) for one in shown["history"]] == [("v-test", "install", None)]
    assert client.get("/api/v1/models/v-next").json == newest
    assert client.get(newest["links"]["self"]).json == newest


def test_a_version_that_there_is_not_is_told(client, admin):
    response = client.get("/api/v1/models/v-none")
    assert (response.status_code, response.json["code"]) == (404, "no_such_model")
    response = client.get("/api/v1/models/v%00")
    assert (response.status_code, response.json["code"]) == (404, "not_found")
    response = admin.post("/api/v1/models/v-none/promotion")
    assert (response.status_code, response.json["code"]) == (404, "no_such_model")


@pytest.mark.usefixtures("versions")
def test_versions_that_have_not_changed_are_not_sent_again(client):
    etag = client.get("/api/v1/models").headers["ETag"]
    assert client.get("/api/v1/models", headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.usefixtures("versions")
def test_an_admin_promotes_a_version_and_new_jobs_get_it(site, admin):
    response = admin.post("/api/v1/models/v-next/promotion", json={"reason": "Better skies."})
    assert response.status_code == 200
    assert (response.json["active"], response.json["candidate"]) == ("v-next", None)
    assert response.json == admin.get("/api/v1/models").json
    newest = response.json["history"][0]
    assert newest | {"previous": "v-test", "kind": "promote", "actor": "root", "reason": "Better skies."} == newest
    job = admin.post("/api/v1/jobs?filename=a.jpg", data=b"jpeg", content_type="image/jpeg")
    assert job.json["model_version"] == "v-next"


@pytest.mark.usefixtures("versions")
def test_the_version_in_use_cannot_be_promoted_again(admin):
    response = admin.post("/api/v1/models/v-test/promotion")
    assert (response.status_code, response.json["code"]) == (409, "already_active")


@pytest.mark.usefixtures("versions")
def test_an_admin_rolls_back_to_what_was_in_use_before(admin):
    admin.post("/api/v1/models/v-next/promotion")
    response = admin.post("/api/v1/models/rollback", json={"reason": "Green faces."})
    assert response.status_code == 200
    assert response.json["active"] == "v-test"
    assert [one["kind"] for one in response.json["history"]] == ["rollback", "promote", "install"]
    assert response.json["history"][0]["reason"] == "Green faces."
    again = admin.post("/api/v1/models/rollback")
    assert (again.status_code, again.json["code"]) == (409, "nothing_to_roll_back")


@pytest.mark.usefixtures("versions")
@pytest.mark.parametrize("path", ["v-next/promotion", "rollback"])
def test_nobody_but_an_admin_changes_the_version_in_use(client, path):
    response = client.post(f"/api/v1/models/{path}")
    assert (response.status_code, response.json["code"]) == (403, "admin_only")
    assert client.get("/api/v1/models").json["active"] == "v-test"


@pytest.mark.usefixtures("versions")
def test_a_browser_needs_its_csrf_token_to_change_the_version_in_use(site, password):
    browser = site.browser(site.user("root", admin=True, password=password))
    refused = browser.post("/api/v1/models/v-next/promotion")
    assert (refused.status_code, refused.json["code"]) == (403, "csrf_failed")
    headers = {"X-CSRFToken": site.token(browser, "/")}
    assert browser.post("/api/v1/models/v-next/promotion", headers=headers).status_code == 200


@pytest.mark.usefixtures("versions")
@pytest.mark.parametrize(
    ("body", "media_type", "status", "code", "word"),
    [
        (b"{", "application/json", 400, "broken_json", "EOF"),
        (b"[" * 100_000, "application/json", 400, "broken_json", "recursion"),
        (b"\xff", "application/json", 400, "broken_json", "JSON"),
        (b"[]", "application/json", 422, "bad_parameter", "The body"),
        (b'{"reason": 1}', "application/json", 422, "bad_parameter", "reason"),
        (b'{"raeson": "x"}', "application/json", 422, "bad_parameter", "raeson"),
        (b'{"reason": "a\\u0000b"}', "application/json", 422, "bad_parameter", "reason"),
        (b'{"reason": "\\ud800"}', "application/json", 400, "broken_json", "escape"),
        (b'{"reason": "%s"}' % (b"x" * 2001), "application/json", 422, "bad_parameter", "reason"),
        (b"reason=x", "application/x-www-form-urlencoded", 415, "unsupported_media_type", "application/json"),
        (bytes(2**20 + 1), "application/json", 413, "request_too_large", ""),
    ],
)
def test_a_body_that_makes_no_sense_changes_nothing(admin, body, media_type, status, code, word):
    response = admin.post("/api/v1/models/v-next/promotion", data=body, content_type=media_type)
    assert (response.status_code, response.json["code"]) == (status, code)
    assert word in response.json["detail"]
    assert admin.get("/api/v1/models").json["active"] == "v-test"


@pytest.mark.usefixtures("versions")
def test_only_the_last_changes_are_told(admin):
    for _ in range(PROMOTIONS_SHOWN // 2):
        admin.post("/api/v1/models/v-next/promotion")
        shown = admin.post("/api/v1/models/v-test/promotion").json
    assert len(shown["history"]) == PROMOTIONS_SHOWN
    assert shown["history"][0]["version"] == "v-test"


def test_a_version_whose_stored_weights_are_damaged_is_not_put_in_use(site, admin):
    with site.database.write() as records:
        registry.register(records, "v-lost", "test", "2" * 64, key="models/v-lost")
    response = admin.post("/api/v1/models/v-lost/promotion")
    assert (response.status_code, response.json["code"]) == (409, "model_version_missing")
    assert "models/v-lost" in response.json["detail"]
    assert admin.get("/api/v1/models").json["active"] == "v-test"


@pytest.mark.usefixtures("versions")
def test_a_version_that_came_with_an_earlier_program_is_not_gone_back_to(site, admin):
    shutil.rmtree(site.settings.imported_models_dir / "v-test")
    admin.post("/api/v1/models/v-next/promotion")
    response = admin.post("/api/v1/models/rollback")
    assert (response.status_code, response.json["code"]) == (409, "model_version_missing")
    assert admin.get("/api/v1/models").json["active"] == "v-next"
