"""Approving results, so that later models may be trained on them, and taking that back."""

import pytest

from core.records import PhotoState, TrainingPhoto


@pytest.fixture
def ada(site):
    return site.user("ada")


@pytest.fixture
def client(site, ada):
    return site.program(ada)


@pytest.fixture
def photo(site, ada):
    return site.done_photo(site.finished_job(ada), 0, result=b"in color")


def path_of(photo):
    return f"/api/v1/jobs/{photo.job_id}/photos/{photo.id}"


def approvals(site):
    with site.database.read() as records:
        return records.query(TrainingPhoto).all()


def kept(site):
    contents = []
    for key in site.storage.list("training/"):
        with site.storage.open(key) as stream:
            contents.append(stream.read())
    return contents


def test_an_approved_result_is_copied_to_the_training_material(site, ada, client, photo):
    before = client.get(path_of(photo)).json
    assert before["approved"] is False
    response = client.put(before["links"]["approval"])
    assert response.status_code == 200
    assert response.json == {**before, "approved": True}
    assert client.get(path_of(photo)).json == response.json
    assert kept(site) == [b"in color"]
    (row,) = approvals(site)
    assert (row.photo_id, row.approved_by, row.split, row.sha256) == (photo.id, ada.id, "train", photo.result_sha256)
    assert site.storage.exists(row.key)


def test_a_listing_tells_which_results_are_approved(site, ada, client):
    job = site.finished_job(ada)
    photos = [site.done_photo(job, position) for position in range(3)]
    client.put(f"{path_of(photos[1])}/approval")
    listed = client.get(f"/api/v1/jobs/{job.id}/photos").json["photos"]
    assert [one["approved"] for one in listed] == [False, True, False]


def test_approving_twice_keeps_one_copy(site, client, photo):
    client.put(f"{path_of(photo)}/approval")
    assert client.put(f"{path_of(photo)}/approval").status_code == 200
    assert kept(site) == [b"in color"]
    assert len(approvals(site)) == 1


def test_a_withdrawn_approval_leaves_no_bytes_and_the_result_stays(site, client, photo):
    client.put(f"{path_of(photo)}/approval")
    response = client.delete(f"{path_of(photo)}/approval")
    assert (response.status_code, response.json["approved"]) == (200, False)
    assert kept(site) == []
    assert client.get(f"{path_of(photo)}/result").data == b"in color"
    assert client.delete(f"{path_of(photo)}/approval").status_code == 200


def test_a_withdrawn_result_can_be_approved_again(site, client, photo):
    keys = set()
    for _ in range(3):
        client.delete(f"{path_of(photo)}/approval")
        assert client.put(f"{path_of(photo)}/approval").json["approved"] is True
        assert kept(site) == [b"in color"]
        keys.add(approvals(site)[0].key)
    assert site.storage.exists(approvals(site)[0].key)
    # A copy that is still being deleted is never the one of a newer approval.
    assert len(keys) == 3


@pytest.mark.parametrize("state", [state for state in PhotoState if state != PhotoState.DONE])
def test_what_has_no_result_cannot_be_approved(site, ada, client, state):
    pending = site.photo(site.job(ada), 0, state)
    response = client.put(f"{path_of(pending)}/approval")
    assert (response.status_code, response.json["code"]) == (409, "not_done")
    assert client.get(path_of(pending)).json["links"]["approval"] is None
    assert approvals(site) == []


def test_an_admin_may_approve_anybodys_result_and_others_only_their_own(site, photo):
    grace = site.program(site.user("grace"))
    for ask in (grace.put, grace.delete):
        response = ask(f"{path_of(photo)}/approval")
        assert (response.status_code, response.json["code"]) == (404, "not_found")
    root = site.user("root", admin=True)
    assert site.program(root).put(f"{path_of(photo)}/approval").json["approved"] is True
    assert approvals(site)[0].approved_by == root.id


def test_a_browser_needs_its_csrf_token_to_approve(site, password):
    eve = site.user("eve", password=password)
    photo = site.done_photo(site.finished_job(eve), 0)
    browser = site.browser(eve)
    refused = browser.put(f"{path_of(photo)}/approval")
    assert (refused.status_code, refused.json["code"]) == (403, "csrf_failed")
    headers = {"X-CSRFToken": site.token(browser, "/")}
    assert browser.put(f"{path_of(photo)}/approval", headers=headers).status_code == 200


def test_a_result_whose_bytes_are_gone_is_not_approved(site, client, photo):
    site.storage.delete(photo.result_key)
    response = client.put(f"{path_of(photo)}/approval")
    assert (response.status_code, response.json["code"]) == (404, "object_missing")
    assert approvals(site) == []


def test_an_approval_that_cannot_be_committed_leaves_no_copy(site, client, photo):
    with site.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER broken BEFORE INSERT ON training_photos BEGIN SELECT RAISE(ABORT, 'broken'); END"
        )
    assert client.put(f"{path_of(photo)}/approval").status_code == 500
    assert kept(site) == []
