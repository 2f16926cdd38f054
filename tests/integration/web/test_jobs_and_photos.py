"""Jobs and photos as JSON: whose they are, pages of them, ETags, cancel."""

from datetime import timedelta

import pytest

from core.records import JobState, PhotoState, utc_now


@pytest.fixture
def ada(site):
    return site.user("ada")


@pytest.fixture
def client(site, ada):
    return site.program(ada)


def test_a_job_is_told_in_numbers(site, ada, client):
    job = site.job(ada, state=JobState.RUNNING, started_at=utc_now() - timedelta(seconds=10))
    for position, state in enumerate([PhotoState.DONE, PhotoState.FAILED, PhotoState.PENDING, PhotoState.PENDING]):
        over = utc_now() if state in (PhotoState.DONE, PhotoState.FAILED) else None
        site.photo(job, position, state, chunk=0, finished_at=over)
    shown = client.get(f"/api/v1/jobs/{job.id}").json
    assert shown["state"] == "running"
    assert shown["counts"] == {"pending": 2, "running": 0, "done": 1, "failed": 1, "skipped": 0, "canceled": 0}
    assert shown["total"] == 4
    assert shown["unpacking"] is True
    assert shown["rate_per_s"] == pytest.approx(0.2, rel=0.2)
    assert shown["links"]["page"] == f"/jobs/{job.id}"


def test_a_job_that_has_not_changed_is_not_sent_again(site, ada, client):
    job = site.finished_job(ada)
    first = client.get(f"/api/v1/jobs/{job.id}")
    etag = first.headers["ETag"]
    assert not etag.startswith("W/")
    again = client.get(f"/api/v1/jobs/{job.id}", headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")
    site.photo(job, 0)
    changed = client.get(f"/api/v1/jobs/{job.id}", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def test_retry_after_is_told_until_the_job_is_over(site, ada, client):
    queued, over = site.job(ada), site.finished_job(ada)
    assert client.get(f"/api/v1/jobs/{queued.id}").headers["Retry-After"] == "1"
    assert "Retry-After" not in client.get(f"/api/v1/jobs/{over.id}").headers


def test_jobs_belong_to_their_owner_and_an_admin_sees_all(site, ada, client):
    grace = site.user("grace")
    hers = site.finished_job(grace, name="hers.zip")
    photo = site.done_photo(hers, 0)
    mine = site.finished_job(ada)
    root = f"/api/v1/jobs/{hers.id}"
    paths = ["", "/photos", f"/photos/{photo.id}", "/results.zip"]
    paths += [f"/photos/{photo.id}/{part}" for part in ("original", "result", "preview")]
    admin = site.program(site.user("boss", admin=True))
    for path in paths:
        refused = client.get(root + path)
        assert (refused.status_code, refused.json["code"]) == (404, "not_found")
        assert admin.get(root + path).status_code == 200
    assert client.post(f"{root}/cancel").status_code == 404
    assert client.get(f"/api/v1/jobs?before={hers.id}").status_code == 404
    assert client.get(f"/api/v1/jobs/{mine.id}/photos/{photo.id}").status_code == 404
    assert [job["id"] for job in client.get("/api/v1/jobs").json["jobs"]] == [mine.id]
    assert {job["id"] for job in admin.get("/api/v1/jobs").json["jobs"]} == {mine.id, hers.id}


def test_jobs_come_in_pages_the_newest_first(site, ada, client):
    now = utc_now()
    made = [site.job(ada, created_at=now - timedelta(hours=hours)).id for hours in range(5)]
    seen, address = [], "/api/v1/jobs?limit=2"
    while address:
        page = client.get(address).json
        assert len(page["jobs"]) <= 2
        seen += [job["id"] for job in page["jobs"]]
        address = page["next"]
    assert seen == made


def test_a_list_of_jobs_counts_each_ones_photos(site, ada, client):
    over, running = site.finished_job(ada), site.job(ada, state=JobState.RUNNING, started_at=utc_now())
    site.done_photo(over, 0)
    site.photo(running, 0)
    totals = {job["id"]: job["counts"] for job in client.get("/api/v1/jobs").json["jobs"]}
    assert totals[over.id]["done"] == 1
    assert totals[running.id]["pending"] == 1


def test_photos_come_in_pages_by_position_and_only_in_the_states_asked_for(site, ada, client):
    job = site.job(ada)
    states = [PhotoState.DONE, PhotoState.FAILED, PhotoState.PENDING] * 3
    for position, state in enumerate(states):
        site.photo(job, position, state)
    seen, address = [], f"/api/v1/jobs/{job.id}/photos?limit=2&state=done&state=failed"
    while address:
        page = client.get(address).json
        seen += [(photo["position"], photo["state"]) for photo in page["photos"]]
        address = page["next"]
    assert seen == [(position, state) for position, state in enumerate(states) if state != PhotoState.PENDING]


def test_photos_with_a_warning_can_be_asked_for(site, ada, client):
    job = site.job(ada)
    for position in range(6):
        warning = "little_color" if position % 2 else ""
        site.done_photo(job, position, outcome={"warning": warning})
    seen, address = [], f"/api/v1/jobs/{job.id}/photos?limit=2&warned=true"
    while address:
        page = client.get(address).json
        seen += [(photo["position"], photo["warning"]) for photo in page["photos"]]
        address = page["next"]
    assert seen == [(1, "little_color"), (3, "little_color"), (5, "little_color")]
    assert client.get(f"/api/v1/jobs/{job.id}").json["warned"] == 3
    assert [one["warned"] for one in client.get("/api/v1/jobs").json["jobs"]] == [3]


def test_a_photo_tells_how_it_came_out(site, ada, client):
    job = site.job(ada)
    photo = site.done_photo(job, 0, outcome={"losses": ["transparency"], "runtime": "openvino-cpu"})
    shown = client.get(f"/api/v1/jobs/{job.id}/photos/{photo.id}").json
    expected = {
        "warning": "",
        "losses": ["transparency"],
        "lightness_error_mean": 0.04,
        "lightness_error_max": 0.25,
        "mean_chroma": 12.5,
        "runtime": "openvino-cpu",
        "result_media_type": "image/jpeg",
    }
    assert {name: shown[name] for name in expected} == expected


def test_a_page_of_photos_that_has_not_changed_is_not_sent_again(site, ada, client):
    job = site.job(ada)
    site.photo(job, 0)
    address = f"/api/v1/jobs/{job.id}/photos"
    etag = client.get(address).headers["ETag"]
    assert client.get(address, headers={"If-None-Match": etag}).status_code == 304
    site.photo(job, 1)
    assert client.get(address, headers={"If-None-Match": etag}).status_code == 200


def test_a_photo_links_to_what_there_is_of_it(site, ada, client):
    job = site.job(ada)
    done = site.done_photo(job, 0)
    refused = site.photo(job, 1, PhotoState.FAILED, original_key="")
    links = client.get(f"/api/v1/jobs/{job.id}/photos/{done.id}").json["links"]
    assert links.pop("approval") == f"/api/v1/jobs/{job.id}/photos/{done.id}/approval"
    assert all(client.get(link).status_code == 200 for link in links.values())
    assert set(client.get(f"/api/v1/jobs/{job.id}/photos/{refused.id}").json["links"].values()) == {None}


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=many", "after=-2", "after=99999999999", "state=finished", "limit=1e2", "warned=1"],
)
def test_a_parameter_out_of_its_range_is_refused(site, ada, client, query):
    response = client.get(f"/api/v1/jobs/{site.job(ada).id}/photos?{query}")
    assert (response.status_code, response.json["code"]) == (422, "bad_parameter")


def test_a_job_is_canceled_once(site, ada, client):
    job = site.job(ada, state=JobState.RUNNING, ingested_at=utc_now())
    site.photo(job, 0)
    canceled = client.post(f"/api/v1/jobs/{job.id}/cancel")
    assert canceled.status_code == 202
    assert canceled.json["state"] == "canceled"
    assert canceled.json["counts"]["canceled"] == 1
    again = client.post(f"/api/v1/jobs/{job.id}/cancel")
    assert (again.status_code, again.json["code"]) == (409, "already_over")


def test_the_pages_show_jobs_under_names_in_any_script(site, password):
    person = site.user("grace", password=password)
    job = site.finished_job(person, name="архив <b>1931</b>.zip")
    browser = site.browser(person)
    for path in ("/", "/jobs", f"/jobs/{job.id}"):
        page = browser.get(path)
        assert page.status_code == 200
        assert "архив &lt;b&gt;1931&lt;/b&gt;.zip" in page.text
        assert "<b>1931" not in page.text


def test_the_list_of_jobs_for_people_comes_in_pages(site, password):
    person = site.user("grace", password=password)
    now = utc_now()
    for number in range(26):
        site.job(person, name=f"job number {number}.", created_at=now - timedelta(hours=number))
    browser = site.browser(person)
    first = browser.get("/jobs").text
    assert "job number 24." in first
    assert "job number 25." not in first
    older = first.partition('href="/jobs?before=')[2].partition('"')[0]
    assert "job number 25." in browser.get(f"/jobs?before={older}").text
