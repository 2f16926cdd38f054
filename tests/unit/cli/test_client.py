import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cli import client as client_module
from cli.client import Access, Client
from cli.upload import Upload
from core.errors import AuthenticationError, NotFoundError, OptionsError, TransientError
from core.options import JobOptions

KEY = "g2h_key"


def job(number, state="running", done=0):
    counts = {"pending": 2 - done, "running": 0, "done": done, "failed": 0, "skipped": 0, "canceled": 0}
    return {
        "id": f"{number:032x}"[::-1],
        "name": f"job {number}",
        "state": state,
        "code": "",
        "message": "",
        "counts": counts,
        "total": 2,
        "unpacking": False,
        "rate_per_s": None,
        "eta_s": None,
        "created_at": "2026-01-01T00:00:00+00:00",
    }


class Server(ThreadingHTTPServer):
    """Answers from a script: (method and path) -> answers, one after the other, the last one again and again."""

    def __init__(self, address=("127.0.0.1", 0)):
        super().__init__(address, Handler)
        self.script = {}
        self.seen = []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        length = int(self.headers.get("Content-Length", 0))
        content = self.rfile.read(length)
        self.server.seen.append((self.command, self.path, dict(self.headers), content))
        answers = self.server.script[f"{self.command} {self.path}"]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            self.close_connection = True
            return
        status, headers, body = answer
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(payload)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(client_module, "RETRY_PAUSE_S", 0.01)
    monkeypatch.setattr(client_module, "POLL_S", (0.01, 0.02))
    monkeypatch.setattr(client_module, "PATIENCE_S", 5.0)


def test_an_upload_is_sent_whole_with_its_size_and_key(server):
    server.script["POST /api/v1/jobs?filename=a.tar&name=a+b"] = [(201, {}, job(1))]
    upload = Upload("a.tar", "a b", "application/x-tar", 6, lambda: iter([b"abc", b"def"]))
    sent = []
    with Client(Access(server.address, KEY)) as client:
        assert client.submit(upload, JobOptions(), sent.append).name == "job 1"
    _, _, headers, content = server.seen[0]
    assert (content, sent) == (b"abcdef", [3, 6])
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert (headers["Content-Length"], "Transfer-Encoding" in headers) == ("6", False)


def test_options_that_were_asked_for_go_with_the_upload(server):
    query = "filename=a.jpg&name=a&saturation=1.5&output_format=png&mark=true"
    server.script[f"POST /api/v1/jobs?{query}"] = [(201, {}, job(1))]
    upload = Upload("a.jpg", "a", "application/octet-stream", 3, lambda: iter([b"abc"]))
    options = JobOptions(saturation=1.5, output_format="png", mark=True)
    with Client(Access(server.address, KEY)) as client:
        client.submit(upload, options, lambda _sent: None)
    assert len(server.seen) == 1


def test_photos_with_a_warning_can_be_asked_for(server):
    page = {"photos": [{"path": "a.jpg"}], "next": None}
    server.script[f"GET /api/v1/jobs/{'1' * 32}/photos?limit=500&state=done&warned=true"] = [(200, {}, page)]
    with Client(Access(server.address, KEY)) as client:
        assert list(client.photos("1" * 32, ("done",), warned=True)) == [{"path": "a.jpg"}]


def test_an_upload_waits_for_a_stack_that_cannot_be_reached(server):
    server.script["POST /api/v1/jobs?filename=a.jpg&name=a"] = [(201, {}, job(1))]
    upload = Upload("a.jpg", "a", "application/octet-stream", 3, lambda: iter([b"abc"]))
    with Client(Access("http://127.0.0.1:9", KEY), when_away=lambda: Access(server.address, KEY)) as client:
        client.submit(upload, JobOptions(), lambda _sent: None)
    assert [content for *_, content in server.seen] == [b"abc"]


def test_an_upload_is_never_sent_twice(server):
    server.script["POST /api/v1/jobs?filename=a.jpg&name=a"] = [None]
    upload = Upload("a.jpg", "a", "application/octet-stream", 3, lambda: iter([b"abc"]))
    with Client(Access(server.address, KEY)) as client, pytest.raises(TransientError) as refusal:
        client.submit(upload, JobOptions(), lambda _sent: None)
    assert (refusal.value.code, len(server.seen)) == ("upload_interrupted", 1)


def test_a_refusal_keeps_its_code_and_sentence(server):
    problem = {"status": 401, "code": "bad_api_key", "detail": "The API key is unknown or was revoked."}
    server.script["GET /api/v1/jobs?limit=100"] = [(401, {}, problem)]
    with Client(Access(server.address, KEY)) as client, pytest.raises(AuthenticationError) as refusal:
        list(client.jobs())
    assert (refusal.value.code, refusal.value.message) == ("bad_api_key", problem["detail"])


@pytest.mark.parametrize(("body", "status"), [(b"<html>", 502), (b"[]", 500)])
def test_an_answer_that_is_no_problem_document_is_an_error_all_the_same(server, body, status, monkeypatch):
    monkeypatch.setattr(client_module, "PATIENCE_S", 0.0)
    server.script["GET /api/v1/jobs?limit=100"] = [(status, {}, body)]
    with Client(Access(server.address, KEY)) as client, pytest.raises(TransientError) as refusal:
        list(client.jobs())
    assert refusal.value.code == f"http_{status}"


def test_watching_bears_with_broken_connections_and_asks_only_for_news(server):
    path = f"GET /api/v1/jobs/{job(1)['id']}"
    tag = {"ETag": '"1"', "Retry-After": "0"}
    server.script[path] = [
        (200, tag, job(1)),
        None,
        (503, {}, {"code": "database_away"}),
        (304, tag, b""),
        (200, {}, job(1, "completed", done=2)),
    ]
    views = []
    with Client(Access(server.address, KEY)) as client:
        last = client.watch(job(1)["id"], views.append)
    assert [view.state for view in views] == ["running", "completed"]
    assert (last.over, last.all_came_out) == (True, True)
    assert [headers.get("If-None-Match") for _, _, headers, _ in server.seen] == [None, '"1"', '"1"', '"1"', '"1"']


def test_a_stack_that_comes_back_elsewhere_is_followed(server):
    server.script[f"GET /api/v1/jobs/{job(1)['id']}"] = [(200, {}, job(1, "completed", done=2))]
    with Client(Access("http://127.0.0.1:9", "old"), when_away=lambda: Access(server.address, KEY)) as client:
        assert client.watch(job(1)["id"], lambda _job: None).state == "completed"
    assert server.seen[0][2]["Authorization"] == f"Bearer {KEY}"


def test_patience_ends(monkeypatch):
    monkeypatch.setattr(client_module, "PATIENCE_S", 0.1)
    with Client(Access("http://127.0.0.1:9", KEY)) as client, pytest.raises(TransientError) as refusal:
        client.job("1" * 32)
    assert refusal.value.code == "stack_away"


@pytest.mark.parametrize(
    ("prefix", "expected"), [("1", "ambiguous_id"), ("f", "not_found"), ("", "not_found"), ("2", "job 2")]
)
def test_an_id_may_be_shortened_while_it_is_clear(server, prefix, expected):
    first = {"jobs": [job(1), job(2)], "next": "/api/v1/jobs?limit=100&before=2"}
    server.script["GET /api/v1/jobs?limit=100"] = [(200, {}, first)]
    server.script["GET /api/v1/jobs?limit=100&before=2"] = [(200, {}, {"jobs": [job(17)], "next": None})]
    with Client(Access(server.address, KEY)) as client:
        try:
            found = client.find_job(prefix).name
        except (NotFoundError, OptionsError) as error:
            found = error.code
    assert found == expected


def test_a_download_that_breaks_off_begins_anew(server, tmp_path):
    whole = b"x" * 1000
    server.script["GET /results.zip"] = [(200, {"Content-Length": "2000"}, whole), (200, {}, whole)]
    got = []
    with Client(Access(server.address, KEY)) as client:
        client.download("/results.zip", tmp_path / "part", lambda size, total: got.append((size, total)))
    assert (tmp_path / "part").read_bytes() == whole
    assert got[-1] == (1000, 1000)
