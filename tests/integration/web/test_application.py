"""What holds for the whole application: headers, problems, health, the secret key, what it never imports."""

import socket
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import OperationalError

from core.errors import AuthenticationError
from core.settings import SOURCE_ROOT
from web.app import create_app
from web.guard import SignInGuard
from web.secret_key import load_secret_key


@pytest.fixture
def client(site):
    return site.program(site.user("ada"))


@pytest.mark.parametrize("path", ["/sign-in", "/health", "/static/logo.svg", "/api/v1/jobs", "/api/v1/none", "/"])
def test_every_answer_tells_the_browser_what_it_may_do(site, path):
    headers = site.app.test_client().get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def test_pages_are_kept_by_nobody_and_json_is_asked_for_again(site, password):
    browser = site.browser(site.user("ada", password=password))
    assert browser.get("/").headers["Cache-Control"] == "no-store"
    assert browser.get("/api/v1/jobs").headers["Cache-Control"] == "private, no-cache"
    assert "no-store" not in browser.get("/static/logo.svg").headers["Cache-Control"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/api/v1/jobs/not-an-id", 404, "not_found"),
        ("GET", "/api/v1/jobs/" + "0" * 32, 404, "not_found"),
        ("DELETE", "/api/v1/jobs", 405, "method_not_allowed"),
        ("GET", "/api/v1/jobs?limit=no", 422, "bad_parameter"),
    ],
)
def test_errors_of_the_api_are_problem_details(client, method, path, status, code):
    response = client.open(path, method=method)
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    assert response.json["code"] == code
    assert response.json["status"] == status
    assert response.json["detail"]
    if status == 405:
        assert "POST" in response.headers["Allow"]


def test_errors_of_pages_are_pages(site, password):
    browser = site.browser(site.user("ada", password=password))
    response = browser.get("/nothing-here")
    assert response.status_code == 404
    assert response.content_type.startswith("text/html")
    assert "404" in response.text


def test_an_unexpected_error_is_logged_and_tells_nothing(site, client, caplog):
    site.app.view_functions["jobs.index"] = lambda: 1 // 0
    response = client.get("/api/v1/jobs")
    assert (response.status_code, response.json["code"]) == (500, "internal_error")
    assert "ZeroDivisionError" in caplog.text
    assert "division" not in response.text


def test_a_database_that_is_away_is_told_as_such(site, client, caplog):
    with site.database.engine.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE jobs RENAME TO away")
        connection.commit()
    response = client.get("/api/v1/jobs")
    assert (response.status_code, response.json["code"]) == (503, "database_away")
    assert response.headers["Retry-After"]
    assert OperationalError.__name__ in caplog.text


def test_a_form_larger_than_a_form_can_be_is_refused(site, password):
    browser = site.browser(site.user("ada", password=password))
    response = browser.post("/keys", data={"name": "x" * 2**21, "csrf_token": "x"})
    assert response.status_code == 413


def test_a_client_that_stalls_loses_its_connection_in_time(site):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        site.app.test_client().get("/sign-in", environ_overrides={"gunicorn.socket": ours})
        assert 0 < ours.gettimeout() <= 300


def test_health_is_told_to_anybody(site):
    response = site.app.test_client().get("/health")
    assert (response.status_code, response.json) == (200, {"status": "ok"})
    assert site.left_incoming() == []


def test_health_tells_what_is_away(site):
    blocked = site.settings.data_dir / "a file"
    blocked.write_bytes(b"")
    away = {
        "broker_url": f"redis+socket://{site.settings.data_dir}/none",
        "storage_dir": blocked,
    }
    app = create_app(site.settings.model_copy(update=away))
    response = app.test_client().get("/health", headers={"Authorization": "Bearer wrong"})
    app.extensions["gray2hue"].database.dispose()
    assert response.status_code == 503
    assert response.json["away"] == ["broker", "storage"]


def test_the_secret_key_is_made_once_and_read_by_its_owner_only(make_site):
    site = make_site()
    path = site.settings.run_dir / "secret.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert site.app.secret_key == load_secret_key(site.settings) == path.read_text().strip()
    assert len(site.app.secret_key) >= 64
    assert list(path.parent.glob("secret.key.*")) == []


def test_processes_that_start_together_end_with_the_same_secret_key(site):
    settings = site.settings.model_copy(update={"data_dir": site.settings.data_dir / "other"})
    start = threading.Barrier(8)

    def load(_number):
        start.wait()
        return load_secret_key(settings)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(load, range(8)))) == 1


def test_a_secret_key_from_the_settings_is_used_as_it_is(make_site):
    given = "given by the operator"
    site = make_site(secret_key=given)
    assert site.app.secret_key == given
    assert not (site.settings.run_dir / "secret.key").exists()


def test_the_web_never_loads_torch_or_reads_an_image(tmp_path):
    program = (
        "import sys, web.wsgi\n"
        "heavy = {'torch', 'torchvision', 'fastai', 'numpy', 'PIL', 'tifffile', 'skimage'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    environment = {"GRAY2HUE_DATA_DIR": str(tmp_path), "PYTHONPATH": str(SOURCE_ROOT)}
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=SOURCE_ROOT)
    assert loaded.stdout.strip() == "[]"


class Clock:
    def __init__(self):
        self.time_s = 0.0

    def __call__(self):
        return self.time_s


def fail(guard, name, address):
    with pytest.raises(AuthenticationError) as error, guard.attempt(name, address):
        raise AuthenticationError("bad_credentials", "wrong")
    return error.value.code


def test_failed_sign_ins_are_counted_per_name_and_address_and_forgotten_in_time():
    clock = Clock()
    guard = SignInGuard(per_name=2, per_address=100, window_s=60, now=clock)
    assert [fail(guard, "ada", "1") for _ in range(3)] == ["bad_credentials", "bad_credentials", "too_many_attempts"]
    assert fail(guard, "Ada ", "1") == "too_many_attempts"
    assert fail(guard, "grace", "1") == "bad_credentials"
    assert fail(guard, "ada", "2") == "bad_credentials"
    clock.time_s = 61
    assert fail(guard, "ada", "1") == "bad_credentials"


def test_failed_sign_ins_of_many_names_are_counted_per_address():
    guard = SignInGuard(per_name=10, per_address=3, window_s=60, now=Clock())
    codes = [fail(guard, f"name {number}", "1") for number in range(4)]
    assert codes == ["bad_credentials"] * 3 + ["too_many_attempts"]


def test_a_right_password_forgives_the_failures_before_it():
    guard = SignInGuard(per_name=2, per_address=100, window_s=60, now=Clock())
    fail(guard, "ada", "1")
    with guard.attempt("ada", "1"):
        pass
    assert [fail(guard, "ada", "1") for _ in range(2)] == ["bad_credentials", "bad_credentials"]


def test_the_guards_memory_is_bounded():
    guard = SignInGuard(now=Clock())
    for number in range(10_100):
        fail(guard, "ada", str(number))
    assert len(guard._failures) <= 10_002
