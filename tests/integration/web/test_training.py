"""Training runs and the schedule over the API: started, looked at, stopped, and by whom."""

import math

import pytest

from core import registry, training_runs
from core.queue import TrainHint
from core.records import FINAL_RUN_STATES, RunState, TrainingRun, Verdict, new_id
from core.training.config import parse_config

RUNS = "/api/v1/training-runs"
SCHEDULE = "/api/v1/training-schedule"


@pytest.fixture
def admin(site):
    return site.program(site.user("root", admin=True))


@pytest.fixture
def client(site):
    return site.program(site.user("ada"))


@pytest.fixture
def run_id(admin):
    return admin.post(RUNS, json={"recipe": "quick"}).json["id"]


def claimed(site, run_id):
    with site.database.write() as records:
        return training_runs.claim_run(records, run_id, "trainer", 60)


def change(site, run_id, **values):
    with site.database.write() as records:
        run = records.get_one(TrainingRun, run_id)
        for name, value in values.items():
            setattr(run, name, value)


def test_an_admin_starts_a_run_from_the_model_in_use(site, admin):
    response = admin.post(RUNS)
    assert response.status_code == 201
    run = response.json
    assert (run["state"], run["trigger"], run["actor"], run["parent"]) == ("queued", "admin", "root", "v-test")
    assert run["config"] == parse_config("fine-tune").model_dump(mode="json")
    assert run["steps_total"] == parse_config("fine-tune").steps_total
    assert site.hints.sent == [TrainHint(run["id"])]
    assert admin.get(response.headers["Location"]).json == run


def test_a_run_has_the_recipe_the_options_and_the_parent_that_were_asked_for(site, admin):
    with site.database.write() as records:
        registry.register(records, "v-other", "test", "1" * 64)
    options = {"steps": 30, "seed": 7, "augmentation.grain": 0.5, "precision": "fp32"}
    body = {"recipe": "quick", "options": options, "parent": "v-other", "trigger": "cli"}
    run = admin.post(RUNS, json=body).json
    assert (run["trigger"], run["parent"], run["steps_total"]) == ("cli", "v-other", 30)
    assert run["config"] == parse_config("quick", options).model_dump(mode="json")


@pytest.mark.parametrize(
    ("body", "status", "code", "word"),
    [
        ({"recipe": "slow"}, 422, "bad_training_option", "slow"),
        ({"options": {"steps": -1}}, 422, "bad_training_option", "steps"),
        ({"options": {"stepps": 1}}, 422, "bad_training_option", "stepps"),
        ({"options": {"l1_weight": math.nan}}, 422, "bad_training_option", "l1_weight"),
        ({"options": []}, 422, "bad_parameter", "options"),
        ({"parent": "v-none"}, 404, "no_such_model", "v-none"),
        ({"parent": "v\0none"}, 422, "bad_parameter", "parent"),
        ({"trigger": "schedule"}, 422, "bad_parameter", "trigger"),
        ({"actor": "somebody"}, 422, "bad_parameter", "actor"),
    ],
)
def test_a_wrong_wish_starts_no_run(site, admin, body, status, code, word):
    response = admin.post(RUNS, json=body)
    assert (response.status_code, response.json["code"]) == (status, code)
    assert word in response.json["detail"]
    assert admin.get(RUNS).json == {"runs": [], "next": None}
    assert site.hints.sent == []


def test_runs_are_listed_page_by_page_the_newest_first(admin):
    ids = [admin.post(RUNS).json["id"] for _ in range(5)]
    seen, path = [], f"{RUNS}?limit=2"
    while path:
        page = admin.get(path).json
        assert len(page["runs"]) <= 2
        seen += [run["id"] for run in page["runs"]]
        path = page["next"]
    assert seen == ids[::-1]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "before=x"])
def test_a_wrong_query_is_refused(admin, query):
    response = admin.get(f"{RUNS}?{query}")
    assert (response.status_code, response.json["code"]) == (422, "bad_parameter")


def test_a_run_that_there_is_not_is_told(admin):
    missing = f"{RUNS}/{new_id()}"
    answers = [admin.get(f"{missing}{part}") for part in ("", "/points", "/samples", "/samples/1/0/after.jpg")]
    answers += [admin.post(f"{missing}/cancel"), admin.get(f"{RUNS}?before={new_id()}")]
    assert [(answer.status_code, answer.json["code"]) for answer in answers] == [
        *[(404, "no_such_run")] * 3,
        (404, "no_such_sample"),
        *[(404, "no_such_run")] * 2,
    ]


def test_the_hashes_of_all_photographs_are_not_sent_with_a_run(site, admin, run_id):
    counts = {"train": 2, "frozen": 0, "held_out": 0}
    change(site, run_id, snapshot={"sha256": "a" * 64, "train": ["b" * 64, "c" * 64], "counts": counts})
    assert admin.get(f"{RUNS}/{run_id}").json["snapshot"] == {"sha256": "a" * 64, "counts": counts}


def test_a_run_tells_when_to_ask_again_until_it_is_over(site, admin, run_id):
    for state in RunState:
        change(site, run_id, state=state)
        response = admin.get(f"{RUNS}/{run_id}")
        assert response.json["state"] == state
        assert ("Retry-After" in response.headers) is (state not in FINAL_RUN_STATES)
    etag = response.headers["ETag"]
    assert admin.get(f"{RUNS}/{run_id}", headers={"If-None-Match": etag}).status_code == 304


def test_a_run_that_waits_is_canceled_at_once_and_one_at_work_soon(site, admin):
    waiting, working = (admin.post(RUNS).json["id"] for _ in range(2))
    response = admin.post(f"{RUNS}/{waiting}/cancel")
    assert (response.status_code, response.json["state"]) == (202, "canceled")
    assert claimed(site, working)
    response = admin.post(f"{RUNS}/{working}/cancel")
    assert (response.status_code, response.json["state"]) == (202, "canceling")
    again = admin.post(f"{RUNS}/{waiting}/cancel")
    assert (again.status_code, again.json["code"]) == (409, "already_over")


def test_the_curve_is_told_from_any_step_on(site, admin, run_id):
    claim = claimed(site, run_id)
    with site.database.write() as records:
        for step in (10, 20, 30):
            training_runs.note_point(records, claim, step, {"loss": 1 / step, "val_de00": math.inf})
    points = admin.get(f"{RUNS}/{run_id}/points").json["points"]
    assert points == [{"step": step, "loss": 1 / step, "val_de00": None} for step in (10, 20, 30)]
    assert admin.get(f"{RUNS}/{run_id}/points?after=20").json["points"] == points[2:]
    assert admin.get(f"{RUNS}/{run_id}/points?after=30").json["points"] == []


def test_samples_are_listed_with_addresses_of_their_pictures(site, admin, run_id):
    claim = claimed(site, run_id)
    with site.database.write() as records:
        for kind in ("before", "after"):
            key = f"training/runs/{run_id}/0-{kind}"
            site.put(key, f"jpeg {kind}".encode())
            training_runs.note_sample(records, claim, 10, 0, kind, key)
    samples = admin.get(f"{RUNS}/{run_id}/samples").json["samples"]
    assert {(sample["step"], sample["number"], sample["kind"]) for sample in samples} == {
        (10, 0, "before"),
        (10, 0, "after"),
    }
    for sample in samples:
        response = admin.get(sample["url"])
        assert response.data == f"jpeg {sample['kind']}".encode()
        assert response.content_type == "image/jpeg"
    missing = admin.get(f"{RUNS}/{run_id}/samples/{10**30}/0/after.jpg")
    assert (missing.status_code, missing.json["code"]) == (404, "not_found")


def test_a_completed_run_tells_its_verdict_and_numbers(site, admin, run_id):
    claim = claimed(site, run_id)
    with site.database.write() as records:
        registry.register(records, "quick-1", "test", "2" * 64)
        training_runs.finish_run(
            records,
            claim,
            verdict=Verdict.REJECTED,
            reason="No better than the model in use.",
            candidate="quick-1",
            result={"outcome": "not_better"},
        )
    run = admin.get(f"{RUNS}/{run_id}").json
    assert (run["state"], run["verdict"], run["candidate"]) == ("completed", "rejected", "quick-1")
    assert (run["verdict_reason"], run["result"]) == ("No better than the model in use.", {"outcome": "not_better"})
    assert run["finished_at"]


def test_no_run_starts_by_itself_before_an_admin_has_said_so(admin):
    schedule = admin.get(SCHEDULE).json
    assert (schedule["enabled"], schedule["next_at"], schedule["auto_promote"]) == (False, None, False)
    assert (schedule["recipe"], schedule["options"]) == ("fine-tune", {})


def test_an_admin_changes_the_schedule(admin):
    wanted = {
        "enabled": True,
        "cron": "30 2 * * 1-5",
        "min_new_photos": 25,
        "auto_promote": True,
        "recipe": "quick",
        "options": {"steps": 40},
    }
    response = admin.put(SCHEDULE, json=wanted)
    assert response.status_code == 200
    assert {name: response.json[name] for name in wanted} == wanted
    assert response.json["next_at"][11:16] == "02:30"
    assert response.json["updated_by"] == "root"
    assert admin.get(SCHEDULE).json == response.json


def test_what_a_change_does_not_name_stays_as_it_is(admin):
    admin.put(SCHEDULE, json={"enabled": True, "cron": "0 4 * * *", "options": {"seed": 3}})
    changed = admin.put(SCHEDULE, json={"enabled": False}).json
    assert (changed["enabled"], changed["cron"], changed["options"]) == (False, "0 4 * * *", {"seed": 3})
    assert changed["next_at"] is None


def test_what_is_told_of_the_schedule_may_be_sent_back(admin):
    told = admin.get(SCHEDULE).json
    response = admin.put(SCHEDULE, json=told)
    assert response.status_code == 200
    assert {**response.json, "updated_at": None, "updated_by": ""} == told


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"cron": "every day"}, "bad_cron"),
        ({"cron": "0 0 31 2 *"}, "bad_cron"),
        ({"min_new_photos": 0}, "bad_min_new_photos"),
        ({"min_new_photos": 2.5}, "bad_parameter"),
        ({"recipe": "slow"}, "bad_training_option"),
        ({"options": {"seed": "x"}}, "bad_training_option"),
        ({"enabled": "yes"}, "bad_parameter"),
        ({"every": "day"}, "bad_parameter"),
    ],
)
def test_a_wrong_schedule_is_refused_and_changes_nothing(admin, body, code):
    before = admin.get(SCHEDULE).json
    response = admin.put(SCHEDULE, json={"enabled": True} | body)
    assert (response.status_code, response.json["code"]) == (422, code)
    assert admin.get(SCHEDULE).json == before


def test_nobody_but_an_admin_has_to_do_with_training(site, client, run_id):
    root = f"{RUNS}/{run_id}"
    gets = [RUNS, root, f"{root}/points", f"{root}/samples", f"{root}/samples/0/0/after.jpg", SCHEDULE]
    answers = [client.get(path) for path in gets]
    answers += [client.post(RUNS), client.post(f"{root}/cancel"), client.put(SCHEDULE, json={"enabled": True})]
    assert {(answer.status_code, answer.json["code"]) for answer in answers} == {(403, "admin_only")}
    with site.database.read() as records:
        assert [run.state for run in training_runs.list_runs(records, 9)] == ["queued"]
        assert not training_runs.get_schedule(records).enabled


def test_a_browser_needs_its_csrf_token_to_start_a_run(site, password):
    browser = site.browser(site.user("root", admin=True, password=password))
    refused = browser.post(RUNS)
    assert (refused.status_code, refused.json["code"]) == (403, "csrf_failed")
    assert browser.post(RUNS, headers={"X-CSRFToken": site.token(browser, "/")}).status_code == 201
