"""A job's row while its bytes come in: seen by everybody, kept under a lease, gone with an upload that fails."""

import io
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from boundaries import Armed
from core import jobs, registry
from core.boundaries import Boundary
from core.database import Database
from core.errors import StorageFullError, TransientError
from core.jobs import OwnerLimits
from core.records import Base, Job, JobState, new_id, utc_now
from web.blueprints import uploads
from web.uploads import Arrival, Reception, check_room, receiving


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request, make_site):
    """A site on each of the two databases."""
    if request.param == "sqlite":
        return make_site()
    url = request.getfixturevalue("postgres_url")
    database = Database(url)
    Base.metadata.create_all(database.engine)
    with database.write() as records:
        registry.activate(records, registry.register(records, "v-test", "test", "0" * 64))
    database.dispose()
    return make_site(database_url=url)


@pytest.fixture
def ada(site):
    return site.user("ada")


@pytest.fixture
def client(site, ada):
    return site.program(ada)


class Watched(io.BytesIO):
    """A body that lets the test look around each time when bytes of it are wanted."""

    def __init__(self, content, look):
        super().__init__(content)
        self._look = look

    def readinto(self, buffer):
        self._look()
        return super().readinto(buffer)

    def read(self, size=-1):
        self._look()
        return super().read(size)


def send(client, body=b"some bytes", query="filename=box/a.jpg", **options):
    given = (
        {"input_stream": body, "content_length": len(body.getvalue())} if isinstance(body, Watched) else {"data": body}
    )
    return client.post(f"/api/v1/jobs?{query}", content_type="application/octet-stream", **given, **options)


CHUNKED = {
    "headers": {"Transfer-Encoding": "chunked"},
    "environ_overrides": {"wsgi.input_terminated": True},
}


def assert_nothing_is_left(site):
    assert site.jobs() == []
    assert site.left_incoming() == []
    assert list(site.storage.list("jobs/")) == []
    assert site.hints.sent == []


def refused(response, status, code):
    assert (response.status_code, response.json["code"]) == (status, code)


def test_a_job_is_there_before_its_bytes(site, client):
    seen = []
    body = Watched(b"jpeg", lambda: seen.append(client.get("/api/v1/jobs").json["jobs"]))
    created = send(client, body)
    (job,) = seen[0]
    assert (job["state"], job["name"], job["total"], job["unpacking"]) == ("receiving", "a.jpg", 0, True)
    assert {job["links"][name] for name in ("pause", "resume", "retry")} == {None}
    assert (created.status_code, created.json["id"], created.json["state"]) == (201, job["id"], "queued")
    told = client.get(created.json["links"]["events"]).json["events"]
    assert [(event["from_state"], event["to_state"], event["person"]) for event in told] == [
        ("", "receiving", "ada"),
        ("receiving", "queued", "ada"),
    ]


@pytest.mark.parametrize("query", ["filename=a.jpg&name=Attic", "filename=a.jpg"])
def test_a_form_that_names_nothing_yet_is_an_upload(client, query):
    names = []
    boundary = "frontier"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="b.jpg"\r\n\r\n'
    body = Watched(
        f"{head}bytes\r\n--{boundary}--\r\n".encode(),
        lambda: names.append(client.get("/api/v1/jobs").json["jobs"][0]["name"]),
    )
    response = client.post(
        "/api/v1/jobs",
        input_stream=body,
        content_length=len(body.getvalue()),
        content_type=f"multipart/form-data; boundary={boundary}",
    )
    assert (names[0], response.json["name"]) == ("upload", "b.jpg")


def lease(site, job_id):
    with site.database.read() as records:
        return records.get_one(Job, job_id).receiving_until


def receive(site, owner, lease_s=300.0):
    arrival = Arrival(new_id(), owner.id, "a.jpg", 0)
    return arrival.job_id, receiving(site.database, site.storage, arrival, OwnerLimits(), lease_s)


def test_the_lease_is_prolonged_while_bytes_come_but_not_with_every_piece(site, ada):
    job_id, block = receive(site, ada)
    clock = [0.0]
    with block:
        first = lease(site, job_id)
        assert first - utc_now() > timedelta(seconds=290)
        reception = Reception(site.database, job_id, 300.0, now=lambda: clock[0])
        reception.note_progress()
        clock[0] = 99.0
        reception.note_progress()
        assert lease(site, job_id) == first
        clock[0] = 101.0
        reception.note_progress()
        second = lease(site, job_id)
        assert second > first
        clock[0] = 200.0
        reception.note_progress()
        assert lease(site, job_id) == second


def test_a_database_that_is_away_for_a_moment_ends_no_upload(site, ada, caplog):
    job_id, block = receive(site, ada)
    clock = [0.0]
    with block:
        away = Database(f"sqlite:///{site.settings.data_dir}/empty.db")
        reception = Reception(away, job_id, 300.0, now=lambda: clock[0])
        clock[0] = 150.0
        reception.note_progress()
        away.dispose()
    assert "could not be renewed" in caplog.text


def test_an_upload_that_was_given_up_meanwhile_is_refused(site, client):
    def give_up():
        with site.database.write() as records:
            for job in site.jobs():
                jobs.drop_receiving(records, job.id)

    refused(send(client, Watched(b"jpeg", give_up)), 503, "upload_given_up")
    assert_nothing_is_left(site)


def test_a_lease_that_was_given_up_is_noticed_while_bytes_come(site, ada):
    job_id, block = receive(site, ada)

    def come_back_late():
        with block:
            with site.database.write() as records:
                jobs.drop_receiving(records, job_id)
            clock = iter([0.0, 200.0])
            Reception(site.database, job_id, 300.0, now=lambda: next(clock)).note_progress()

    with pytest.raises(TransientError) as refusal:
        come_back_late()
    assert refusal.value.code == "upload_given_up"


def test_a_row_stays_for_the_sweeper_while_bytes_of_it_are_left(site, ada):
    job_id, block = receive(site, ada)

    def store_and_fail():
        with block:
            site.put(f"jobs/{job_id}/uploads/0", b"bytes")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store_and_fail()
    assert [job.state for job in site.jobs()] == [JobState.RECEIVING]


def test_an_upload_that_breaks_off_leaves_nothing(site, client):
    response = send(client, b"short", environ_overrides={"CONTENT_LENGTH": "100"})
    refused(response, 400, "incomplete_upload")
    assert_nothing_is_left(site)


def test_a_database_that_is_away_at_the_end_refuses_and_leaves_nothing(site, client, monkeypatch):
    def fail(*_):
        raise OperationalError("COMMIT", {}, Exception("the server closed the connection"))

    monkeypatch.setattr(uploads, "commit", fail)
    refused(send(client), 503, "database_away")
    assert_nothing_is_left(site)


def test_a_commit_whose_answer_got_lost_is_an_accepted_upload(site, client, monkeypatch):
    commit = uploads.commit

    def lose_the_answer(*arguments):
        commit(*arguments)
        raise OperationalError("COMMIT", {}, Exception("the server closed the connection"))

    monkeypatch.setattr(uploads, "commit", lose_the_answer)
    response = send(client)
    assert response.status_code == 201
    assert [(job.id, job.state) for job in site.jobs()] == [(response.json["id"], JobState.QUEUED)]
    assert [hint.job_id for hint in site.hints.sent] == [response.json["id"]]


def test_a_database_that_is_away_throughout_leaves_the_row_and_the_bytes_to_the_sweeper(site, client, monkeypatch):
    def fail(*_):
        raise OperationalError("COMMIT", {}, Exception("the server closed the connection"))

    monkeypatch.setattr(uploads, "commit", fail)
    monkeypatch.setattr(uploads, "find_submitted", fail)
    refused(send(client), 503, "database_away")
    (job,) = site.jobs()
    assert job.state == JobState.RECEIVING
    assert list(site.storage.list(f"jobs/{job.id}/")) == [f"jobs/{job.id}/uploads/0"]


def test_nobody_has_more_open_jobs_than_allowed(make_site):
    site = make_site(owner_max_open_jobs=2)
    client, other = site.program(site.user("ada")), site.program(site.user("grace"))
    assert [send(client).status_code for _ in range(2)] == [201, 201]
    untouched = Watched(b"jpeg", lambda: pytest.fail("the body was read"))
    response = send(client, untouched)
    refused(response, 429, "too_many_open_jobs")
    assert int(response.headers["Retry-After"]) > 0
    assert send(other).status_code == 201
    assert len(site.jobs()) == 3


def test_nobody_has_more_open_photos_than_allowed(make_site):
    site = make_site(owner_max_open_photos=1)
    ada = site.user("ada")
    client = site.program(ada)
    job = site.job(ada, state=JobState.RUNNING)
    assert send(client).status_code == 201
    site.photo(job, 0)
    response = send(client)
    refused(response, 429, "too_many_open_photos")
    assert "Retry-After" in response.headers


def test_nobody_stores_more_than_allowed_whether_the_length_was_told_or_not(make_site):
    site = make_site(owner_max_stored_bytes=1000)
    client = site.program(site.user("ada"))
    untouched = Watched(bytes(1001), lambda: pytest.fail("the body was read"))
    refused(send(client, untouched), 507, "stored_bytes_exceeded")
    refused(send(client, bytes(1001), **CHUNKED), 507, "stored_bytes_exceeded")
    assert_nothing_is_left(site)
    assert send(client, bytes(900), **CHUNKED).status_code == 201
    refused(send(client, bytes(101)), 507, "stored_bytes_exceeded")


def test_an_upload_without_room_is_refused_before_its_first_byte(make_site):
    site = make_site(storage_reserve_bytes=2**62)
    client = site.program(site.user("ada"))
    untouched = Watched(b"jpeg", lambda: pytest.fail("the body was read"))
    refused(send(client, untouched), 507, "storage_full")
    admin = site.program(site.user("root", admin=True))
    refused(
        admin.post("/api/v1/training-material?filename=a.zip", data=b"zip", content_type="application/zip"),
        507,
        "storage_full",
    )
    assert_nothing_is_left(site)


class Disk:
    def __init__(self, free):
        self._free = free

    def free_bytes(self):
        return self._free


@pytest.mark.parametrize(
    ("free", "announced", "fits"),
    [(1000, 900, True), (1000, 901, False), (1000, None, True), (99, None, False), (None, 10**15, True)],
)
def test_room_is_needed_for_the_body_and_the_reserve(free, announced, fits):
    if fits:
        check_room(Disk(free), announced, 100)
    else:
        with pytest.raises(StorageFullError):
            check_room(Disk(free), announced, 100)


def test_the_steps_of_an_upload_are_made_known_in_their_order(make_site, tmp_path):
    armed = Armed(tmp_path / "faults", Boundary.BYTES_FSYNCED, Boundary.JOB_COMMITTED, Boundary.HINT_ENQUEUED)
    site = make_site(faults_dir=tmp_path / "faults")
    job_id = send(site.program(site.user("ada"))).json["id"]
    steps = [tuple(line.split()[:2]) for line in armed.ledger()]
    assert steps == [("bytes_fsynced", job_id), ("job_committed", job_id), ("hint_enqueued", job_id)]


def test_a_job_may_be_sent_with_a_priority(site, client):
    assert send(client).json["priority"] == "normal"
    assert send(client, query="filename=a.jpg&priority=low").json["priority"] == "low"
    boss = site.program(site.user("boss", admin=True))
    form = {"files": (io.BytesIO(b"jpeg"), "a.jpg"), "priority": "high"}
    assert boss.post("/api/v1/jobs", data=form).json["priority"] == "high"
    assert sorted(job.priority for job in site.jobs()) == [-1, 0, 1]


def test_only_an_admin_goes_before_everybody_else(site, client):
    untouched = Watched(b"jpeg", lambda: pytest.fail("the body was read"))
    refused(send(client, untouched, query="filename=a.jpg&priority=high"), 403, "admin_only")
    form = {"files": (io.BytesIO(b"jpeg"), "a.jpg"), "priority": "high"}
    refused(client.post("/api/v1/jobs", data=form), 403, "admin_only")
    refused(send(client, query="filename=a.jpg&priority=urgent"), 422, "bad_parameter")
    assert_nothing_is_left(site)


def test_a_job_lives_as_long_as_the_settings_say(make_site):
    site = make_site(job_lifetime_days=30)
    send(site.program(site.user("ada")))
    assert site.jobs()[0].lifetime_days == 30
