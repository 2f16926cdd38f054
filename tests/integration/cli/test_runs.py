"""`gray2hue runs` against a web that answers over HTTP, on a real database."""

import json
import threading
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from werkzeug.serving import make_server

from cli.main import main
from core import accounts, registry, training_runs
from core.database import Database
from core.queue import RecordedHints, TrainHint
from core.records import Base, Verdict
from core.settings import Settings
from web.app import create_app


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    settings = Settings(data_dir=tmp_path_factory.mktemp("web"))
    database = Database(settings.database_url)
    Base.metadata.create_all(database.engine)
    with database.write() as records:
        registry.activate(records, registry.register(records, "v-test", "test", "0" * 64))
        registry.register(records, "v-other", "test", "1" * 64)
        _, key = accounts.make_api_key(records, accounts.ensure_admin(records), "tests")
    hints = RecordedHints()
    app = create_app(settings, hints=hints)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield SimpleNamespace(address=f"http://127.0.0.1:{server.port}", key=key, database=database, hints=hints)
    server.shutdown()
    thread.join()
    server.server_close()
    app.extensions["gray2hue"].database.dispose()
    database.dispose()


@pytest.fixture
def runs(web, tmp_path, monkeypatch):
    """The command as a person types it."""
    monkeypatch.setenv("GRAY2HUE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GRAY2HUE_ADDRESS", web.address)
    monkeypatch.setenv("GRAY2HUE_API_KEY", web.key)
    return lambda *arguments: CliRunner().invoke(main, ["runs", *arguments])


@pytest.fixture
def started(runs):
    """Starts a run and gives it as the API tells it."""

    def start(*arguments):
        result = runs("start", "--recipe", "quick", "--json", *arguments)
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    return start


@pytest.fixture(autouse=True)
def only_my_runs(web):
    """Cancel what a test leaves open, since runs are worked on in their order."""
    yield
    with web.database.write() as records:
        for run in training_runs.list_runs(records, 100):
            if run.finished_at is None:
                training_runs.cancel_run(records, run.id)


def test_a_run_is_started_with_what_was_asked_for(web, runs, started):
    run = started("--set", "steps=30", "--set", "augmentation.grain=0.5", "--parent", "v-other")
    assert (run["trigger"], run["actor"], run["parent"], run["steps_total"]) == ("cli", "admin", "v-other", 30)
    assert (run["config"]["recipe"], run["config"]["augmentation"]["grain"]) == ("quick", 0.5)
    assert web.hints.sent[-1] == TrainHint(run["id"])
    result = runs("start")
    assert "is queued: fine-tune from v-test." in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--set", "steps"], 2, "NAME=VALUE"),
        (["--set", "=3"], 2, "NAME=VALUE"),
        (["--set", "stepps=3"], 1, "[bad_training_option]"),
        (["--recipe", "slow"], 1, "[bad_training_option]"),
        (["--parent", "v-none"], 1, "[no_such_model]"),
    ],
)
def test_a_wrong_wish_is_one_clear_line_and_starts_nothing(web, runs, arguments, code, word):
    before = len(web.hints.sent)
    result = runs("start", *arguments)
    assert (result.exit_code, word in result.output) == (code, True), result.output
    assert len(web.hints.sent) == before


def test_runs_are_listed_the_newest_first(runs, started):
    ids = [started()["id"] for _ in range(2)]
    lines = runs("list").output.splitlines()
    assert lines[0].split() == ["ID", "STATE", "STEPS", "RECIPE", "BY", "CREATED", "VERDICT", "MODEL"]
    assert [line.split()[0] for line in lines[1:3]] == [run_id[:8] for run_id in ids[::-1]]
    assert [run["id"] for run in json.loads(runs("list", "--json").output)][:2] == ids[::-1]


def test_a_run_is_shown_with_what_was_measured_last_and_what_came_of_it(web, runs, started):
    run_id = started()["id"]
    with web.database.write() as records:
        claim = training_runs.claim_run(records, run_id, "trainer", 60)
        for step in (1, 2):
            training_runs.note_point(records, claim, step, {"loss": step / 8, "val_de00": 10.0 + step})
        training_runs.set_phase(records, claim, "training")
    result = runs("show", run_id[:12])
    assert result.exit_code == 0, result.output
    assert "running, training" in result.output
    assert "loss 0.25, val_de00 12" in result.output
    with web.database.write() as records:
        values = {"verdict": Verdict.REJECTED, "reason": "No better.", "candidate": "v-other", "result": {}}
        training_runs.finish_run(records, claim, **values)
    result = runs("show", run_id)
    assert "rejected" in result.output
    assert "No better." in result.output
    shown = json.loads(runs("show", run_id, "--json").output)
    assert shown["points"] == [{"step": step, "loss": step / 8, "val_de00": 10.0 + step} for step in (1, 2)]
    assert shown["verdict"] == "rejected"


def test_a_run_that_failed_tells_why(web, runs, started):
    run_id = started()["id"]
    with web.database.write() as records:
        claim = training_runs.claim_run(records, run_id, "trainer", 60)
        training_runs.fail_run(records, claim, "too_little_material", "40 photographs are needed.")
    assert "40 photographs are needed. [too_little_material]" in runs("show", run_id).output


def test_a_run_is_canceled_once(runs, started):
    run_id = started()["id"]
    assert runs("cancel", run_id[:12]).output == f"{run_id[:8]}: canceled\n"
    result = runs("cancel", run_id)
    assert (result.exit_code, "[already_over]" in result.output) == (1, True)


def test_an_id_that_fits_none_or_several_is_told(runs, started):
    for _ in range(17):
        run_id = started()["id"]
    assert "[not_found]" in runs("show", "z").output
    assert "[no_such_run]" in runs("show", "0" * 32).output
    ids = [run["id"] for run in json.loads(runs("list", "--json").output)]
    shared = next(first for first in "0123456789abcdef" if sum(one.startswith(first) for one in ids) > 1)
    assert "[ambiguous_id]" in runs("show", shared).output
    assert runs("show", run_id[:16]).exit_code == 0
