"""What a person does with a job: pause, resume, retry, priority, delete; and the log of all that happened."""

import pytest

from core.jobs import Hint
from core.records import Chunk, JobState, PausedBy, Photo, PhotoState, utc_now


@pytest.fixture
def ada(site):
    return site.user("ada")


@pytest.fixture
def client(site, ada):
    return site.program(ada)


def address(job, what=""):
    return f"/api/v1/jobs/{job.id}{what}"


def running(site, owner, *states, **values):
    """A job of which one chunk was handed out, with photos in these states."""
    now = utc_now()
    job = site.job(owner, **{"state": JobState.RUNNING, "started_at": now, "ingested_at": now, **values})
    with site.database.write() as records:
        records.add(Chunk(job_id=job.id, number=0, sent_at=now))
    for position, state in enumerate(states):
        over = None if state in (PhotoState.PENDING, PhotoState.RUNNING) else now
        site.photo(job, position, state, chunk=0, finished_at=over)
    return job


def refused(response, status, code):
    assert (response.status_code, response.json["code"]) == (status, code)


def possible(job):
    return {name for name in ("pause", "resume", "retry") if job["links"][name]}


def test_a_job_is_paused_and_resumed(site, ada, client):
    job = running(site, ada, PhotoState.DONE, PhotoState.PENDING)
    assert possible(client.get(address(job)).json) == {"pause"}
    paused = client.post(address(job, "/pause"))
    assert (paused.status_code, paused.json["state"], paused.json["paused_by"]) == (200, "paused", "person")
    assert possible(paused.json) == {"resume"}
    assert client.get(address(job)).headers["Retry-After"]
    assert site.hints.sent == []
    resumed = client.post(paused.json["links"]["resume"])
    assert (resumed.status_code, resumed.json["state"], resumed.json["paused_by"]) == (200, "running", "")
    assert site.hints.sent == [Hint(job.id, 0, express=False)]
    refused(client.post(address(job, "/resume")), 409, "not_paused")


def test_a_job_that_waits_for_room_says_so(site, ada, client):
    values = {"state": JobState.PAUSED, "paused_by": PausedBy.SYSTEM, "code": "storage_full", "message": "No room."}
    shown = client.get(address(running(site, ada, PhotoState.PENDING, **values))).json
    assert (shown["state"], shown["paused_by"], shown["code"]) == ("paused", "system", "storage_full")


def test_a_job_that_is_over_is_neither_paused_nor_put_before_others(site, ada, client):
    job = site.finished_job(ada)
    assert possible(client.get(address(job)).json) == set()
    refused(client.post(address(job, "/pause")), 409, "already_over")
    refused(client.put(address(job, "/priority"), json={"priority": "low"}), 409, "already_over")


def test_only_what_failed_is_tried_again(site, ada, client):
    states = (PhotoState.DONE, PhotoState.FAILED, PhotoState.SKIPPED)
    job = running(site, ada, *states, state=JobState.COMPLETED_WITH_ERRORS, finished_at=utc_now())
    assert possible(client.get(address(job)).json) == {"retry"}
    retried = client.post(address(job, "/retry"))
    assert (retried.status_code, retried.json["state"], retried.json["finished_at"]) == (200, "running", None)
    counts = {name: number for name, number in retried.json["counts"].items() if number}
    assert counts == {"done": 1, "pending": 1, "skipped": 1}
    assert site.hints.sent == [Hint(job.id, 0, express=False)]


def test_what_was_refused_as_what_it_is_is_not_offered_again(site, ada, client):
    job = site.finished_job(ada, name="a.zip")
    site.photo(job, 0, PhotoState.FAILED, code="not_an_image", chunk=None)
    with site.database.write() as records:
        records.merge(job).state = JobState.COMPLETED_WITH_ERRORS
    shown = client.get(address(job)).json
    assert (shown["counts"]["failed"], possible(shown)) == (1, set())
    refused(client.post(address(job, "/retry")), 409, "nothing_to_retry")
    listed = client.get("/api/v1/jobs").json["jobs"]
    assert [possible(one) for one in listed] == [set()]


def test_a_priority_is_given_by_its_owner_and_the_highest_by_an_admin(site, ada, client):
    job = site.job(ada)
    admin = site.program(site.user("boss", admin=True))
    set_to = {"low": client, "normal": client, "high": admin}
    for name, by in set_to.items():
        response = by.put(address(job, "/priority"), json={"priority": name})
        assert (response.status_code, response.json["priority"]) == (200, name)
    refused(client.put(address(job, "/priority"), json={"priority": "high"}), 403, "admin_only")
    for wrong in ({"priority": "urgent"}, {"priority": 1}, {}, {"priority": "low", "more": 1}):
        refused(client.put(address(job, "/priority"), json=wrong), 422, "bad_parameter")
    assert site.jobs()[0].priority == 1


def test_deleting_takes_originals_and_results_away_and_leaves_the_row(site, ada, client):
    job = site.finished_job(ada)
    photo = site.done_photo(job, 0)
    one = f"{address(job)}/photos/{photo.id}"
    gone = [address(job, "/results.zip"), f"{one}/original", f"{one}/result", f"{one}/preview"]
    assert [client.get(path).status_code for path in gone] == [200] * 4
    deleted = client.delete(address(job))
    assert (deleted.status_code, deleted.json["state"]) == (202, "expired")
    for path in gone:
        refused(client.get(path), 410, "job_expired")
    refused(client.put(f"{one}/approval"), 410, "job_expired")
    assert client.get(address(job)).json["counts"]["done"] == 1
    assert "Retry-After" not in client.get(address(job)).headers
    shown = client.get(one).json
    assert (shown["sha256"], set(shown["links"].values())) == (photo.sha256, {None})
    assert client.get(f"{address(job)}/photos").json["photos"] == [shown]
    refused(client.delete(address(job)), 409, "already_expired")


def test_an_approval_can_be_taken_back_after_its_job_was_deleted(site, ada, client):
    job = site.finished_job(ada)
    photo = site.done_photo(job, 0)
    approval = f"{address(job)}/photos/{photo.id}/approval"
    assert client.put(approval).json["approved"] is True
    assert client.delete(address(job)).status_code == 202
    assert client.delete(approval).json["approved"] is False
    assert list(site.storage.list("training/approved/")) == []


@pytest.mark.parametrize("state", [JobState.RECEIVING, JobState.QUEUED, JobState.RUNNING, JobState.PAUSED])
def test_a_job_that_is_not_over_is_not_deleted(site, ada, client, state):
    refused(client.delete(address(site.job(ada, state=state))), 409, "not_over")


def test_what_comes_in_still_can_be_neither_paused_nor_canceled(site, ada, client):
    job = site.job(ada, state=JobState.RECEIVING)
    for what in ("/pause", "/cancel"):
        refused(client.post(address(job, what)), 409, "illegal_transition")


def test_nobody_changes_a_job_of_somebody_else(site, client):
    grace = site.user("grace")
    job = site.finished_job(grace)
    answers = [client.post(address(job, f"/{what}")) for what in ("pause", "resume", "retry", "cancel")]
    answers += [client.put(address(job, "/priority"), json={"priority": "low"}), client.delete(address(job))]
    answers += [client.get(address(job, "/events"))]
    for answer in answers:
        refused(answer, 404, "not_found")
    assert site.jobs()[0].state == JobState.COMPLETED
    admin = site.program(site.user("boss", admin=True))
    assert admin.get(address(job, "/events")).status_code == 200
    assert admin.delete(address(job)).status_code == 202


def test_a_change_from_a_page_needs_its_token(site, password):
    grace = site.user("grace", password=password)
    job = site.finished_job(grace)
    browser = site.browser(grace)
    refused(browser.delete(address(job)), 403, "csrf_failed")
    token = site.token(browser, f"/jobs/{job.id}")
    assert browser.delete(address(job), headers={"X-CSRFToken": token}).status_code == 202


def test_the_log_tells_what_happened_and_who_did_it_page_by_page(site, ada, client):
    job = running(site, ada, PhotoState.PENDING, PhotoState.PENDING)
    client.post(address(job, "/pause"))
    boss = site.program(site.user("boss", admin=True))
    boss.post(address(job, "/resume"))
    client.post(address(job, "/cancel"))
    seen, path = [], address(job, "/events?limit=2")
    while path:
        page = client.get(path).json
        assert len(page["events"]) <= 2
        seen += page["events"]
        path = page["next"]
    assert [event["id"] for event in seen] == sorted({event["id"] for event in seen})
    changes = [(event["from_state"], event["to_state"], event["person"]) for event in seen if not event["photo_id"]]
    assert changes[-4:] == [
        ("running", "paused", "ada"),
        ("paused", "running", "boss"),
        ("running", "canceling", "ada"),
        ("canceling", "canceled", None),
    ]
    with site.database.read() as records:
        photos = {photo.id for photo in records.query(Photo)}
    assert {event["photo_id"] for event in seen if event["photo_id"]} == photos
    own, path = [], address(job, "/events?of=job&limit=3")
    while path:
        page = client.get(path).json
        own += page["events"]
        path = page["next"]
    assert own == [event for event in seen if not event["photo_id"]]
    last = own[-1]["id"]
    assert client.get(address(job, f"/events?after={last}")).json == {"events": [], "next": None}


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "after=-1", "after=x", f"after={2**63}", "of=photos"])
def test_a_parameter_of_the_log_out_of_its_range_is_refused(site, ada, client, query):
    refused(client.get(address(site.job(ada), f"/events?{query}")), 422, "bad_parameter")


@pytest.mark.parametrize("state", list(JobState))
def test_the_pages_open_with_a_job_in_any_state(site, password, state):
    grace = site.user("grace", password=password)
    job = site.job(grace, state=state)
    browser = site.browser(grace)
    for path in ("/", "/jobs", f"/jobs/{job.id}"):
        assert browser.get(path).status_code == 200
