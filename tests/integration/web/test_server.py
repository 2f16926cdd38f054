"""Uploads through the real server: gunicorn with our configuration, in a process of its own."""

import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from core import accounts
from core.records import Job, Photo, PhotoState, User
from core.settings import SOURCE_ROOT, Settings

MAX_UPLOAD_BYTES = 210 * 2**20
BIG_BYTES = 200 * 2**20
OPEN_FILES = 256
MEMORY_BYTES = 40 * 2**20


class Server:
    """gunicorn on a free port, allowed few open files, so that holding one for every part would fail."""

    def __init__(self, data_dir, prepare, wait_until):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        values = {
            "port": self.port,
            "max_upload_bytes": MAX_UPLOAD_BYTES,
            "broker_url": f"redis+socket://{data_dir}/none",
        }
        self.settings = Settings(data_dir=data_dir, **values)
        self.database = prepare(self.settings)
        self.wait_until = wait_until
        with self.database.write() as records:
            user = User(name="ada")
            records.add(user)
            records.flush()
            self.key = accounts.make_api_key(records, user, "tests")[1]
        self.log_path = data_dir / "server.log"
        environment = os.environ | {f"GRAY2HUE_{name.upper()}": str(value) for name, value in values.items()}
        environment |= {"GRAY2HUE_DATA_DIR": str(data_dir), "PYTHONPATH": str(SOURCE_ROOT)}
        command = [sys.executable, "-m", "gunicorn", "--config", "python:web.gunicorn_config", "web.wsgi:app"]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                env=environment,
                cwd=SOURCE_ROOT,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES)),
            )
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers={"Authorization": f"Bearer {self.key}"}, timeout=120
        )
        wait_until(self.answers, what="the server")

    def answers(self):
        assert self.process.poll() is None, self.log_path.read_text()
        try:
            return self.client.get("/health").status_code in (200, 503)
        except httpx.TransportError:
            return False

    def peak_memory_bytes(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        status = Path(f"/proc/{children[0]}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def jobs(self):
        with self.database.read() as records:
            return records.query(Job).count()

    def incoming(self):
        folder = self.settings.incoming_dir
        return list(folder.rglob("*")) if folder.exists() else []

    def stop(self):
        self.client.close()
        self.process.terminate()
        self.process.wait(60)
        self.database.dispose()


@pytest.fixture(scope="module")
def server(tmp_path_factory, prepare, wait_until):
    server = Server(tmp_path_factory.mktemp("server"), prepare, wait_until)
    yield server
    server.stop()


def pieces(total_bytes, piece=bytes(range(256)) * 1024):
    for _ in range(total_bytes // len(piece)):
        yield piece


def form(files, boundary=b"frontier"):
    for name, content in files:
        yield b"--" + boundary + b"\r\n"
        yield f'Content-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        yield from content
        yield b"\r\n"
    yield b"--" + boundary + b"--\r\n"


FORM_TYPE = {"Content-Type": "multipart/form-data; boundary=frontier"}


def test_a_raw_body_of_unknown_length_is_taken_in_constant_memory(server):
    before = server.peak_memory_bytes()
    response = server.client.post(
        "/api/v1/jobs?filename=big.zip", content=pieces(BIG_BYTES), headers={"Content-Type": "application/zip"}
    )
    assert response.status_code == 201
    stored = server.settings.storage_dir / "jobs" / response.json()["id"] / "uploads" / "0"
    assert stored.stat().st_size == BIG_BYTES
    assert server.peak_memory_bytes() - before < MEMORY_BYTES
    assert server.incoming() == []
    stored.unlink()


def test_a_form_of_any_size_is_taken_in_constant_memory(server):
    before = server.peak_memory_bytes()
    files = [("folder/big.tif", pieces(BIG_BYTES // 2)), ("folder/second.tif", pieces(BIG_BYTES // 2))]
    response = server.client.post("/api/v1/jobs", content=form(files), headers=FORM_TYPE)
    assert response.status_code == 201
    stored = server.settings.storage_dir / "jobs" / response.json()["id"] / "uploads"
    assert [path.stat().st_size for path in sorted(stored.iterdir())] == [BIG_BYTES // 2] * 2
    assert server.peak_memory_bytes() - before < MEMORY_BYTES
    assert server.incoming() == []
    for path in stored.iterdir():
        path.unlink()


def test_a_dropped_folder_of_3000_files_is_one_job(server):
    files = [(f"album/{number // 100}/фото {number}.jpg", [f"photo {number}".encode()]) for number in range(3000)]
    body = b"".join(form(files))
    response = server.client.post("/api/v1/jobs", content=body, headers=FORM_TYPE)
    assert response.status_code == 201
    assert response.json()["name"] == "album"
    with server.database.read() as records:
        uploads = records.get(Job, response.json()["id"]).uploads
        assert [upload.name for upload in uploads] == [name for name, _ in files]
    stored = server.settings.storage_dir / "jobs" / response.json()["id"] / "uploads"
    assert (stored / "2999").read_bytes() == b"photo 2999"
    assert server.incoming() == []


def test_a_body_of_unknown_length_is_counted_while_it_is_read(server):
    before = server.jobs()
    response = server.client.post(
        "/api/v1/jobs?filename=big.zip",
        content=pieces(MAX_UPLOAD_BYTES + 2**18),
        headers={"Content-Type": "application/zip"},
    )
    assert (response.status_code, response.json()["code"]) == (413, "upload_too_large")
    assert server.jobs() == before
    assert server.incoming() == []


def request_head(server, headers, query=""):
    given = {"Host": "localhost", "Authorization": f"Bearer {server.key}", **headers}
    lines = [f"POST /api/v1/jobs{query} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


RAW_QUERY = "?" + urlencode({"filename": "half.zip"})
FORM_START = b'--frontier\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'


@pytest.mark.parametrize(
    ("headers", "query", "start"),
    [
        ({"Content-Type": "application/zip", "Content-Length": "10000000"}, RAW_QUERY, bytes(2**20)),
        (
            {"Content-Type": "application/zip", "Transfer-Encoding": "chunked"},
            RAW_QUERY,
            b"100000\r\n" + bytes(2**20) + b"\r\n",
        ),
        ({**FORM_TYPE, "Content-Length": "10000000"}, "", FORM_START + bytes(2**20)),
        (
            {**FORM_TYPE, "Transfer-Encoding": "chunked"},
            "",
            b"%x\r\n" % (len(FORM_START) + 2**20) + FORM_START + bytes(2**20) + b"\r\n",
        ),
    ],
    ids=["raw", "raw-chunked", "form", "form-chunked"],
)
@pytest.mark.parametrize("abruptly", [False, True], ids=["closed", "reset"])
def test_a_client_that_breaks_off_leaves_no_job_and_no_file(server, headers, query, start, abruptly):
    before = server.jobs()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(request_head(server, headers, query) + start)
        server.wait_until(lambda: any(path.is_file() and path.stat().st_size for path in server.incoming()))
        if abruptly:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        else:
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(2**16), b""))
            assert answer.startswith(b"HTTP/1.1 400")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] in ("incomplete_upload", "broken_form")
    server.wait_until(lambda: server.incoming() == [], what="an empty folder of incoming files")
    assert server.jobs() == before


def test_an_upload_announced_larger_than_allowed_is_refused_before_it_is_sent(server):
    head = request_head(
        server, {"Content-Type": "application/zip", "Content-Length": str(MAX_UPLOAD_BYTES + 1)}, RAW_QUERY
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(30)
        connection.sendall(head)
        assert connection.recv(2**16).startswith(b"HTTP/1.1 413")
    assert server.incoming() == []


def test_a_stranger_sends_nothing_into_the_incoming_folder(server):
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(30)
        head = request_head(server, {"Content-Type": "application/zip", "Content-Length": "1000000"}, RAW_QUERY)
        connection.sendall(head.replace(server.key.encode(), b"g2h_wrong") + bytes(2**18))
        assert connection.recv(2**16).startswith(b"HTTP/1.1 401")
    assert server.incoming() == []


def test_a_broken_zip_transfer_does_not_look_whole(server):
    created = server.client.post(
        "/api/v1/jobs?filename=a.jpg", content=b"jpeg", headers={"Content-Type": "image/jpeg"}
    ).json()
    with server.database.write() as records:
        missing = {"result_key": f"jobs/{created['id']}/results/gone", "result_path": "a.jpg", "result_size_bytes": 4}
        records.add(Photo(job_id=created["id"], position=0, path="a.jpg", state=PhotoState.DONE, **missing))
    with pytest.raises(httpx.RemoteProtocolError):
        server.client.get(created["links"]["results"])
