"""Training runs and the schedule that starts them; all of it for admins alone."""

from http import HTTPStatus
from typing import Any, Literal

from flask import Blueprint, jsonify, url_for
from flask.typing import ResponseReturnValue
from pydantic import Field

from core import training_material, training_runs
from core.queue import TrainHint, send_all
from core.records import FINAL_RUN_STATES, RunTrigger
from core.training.config import parse_config
from web.auth import current_admin
from web.bodies import JsonBody, Name, read_json
from web.parameters import MAX_NUMBER, id_parameter, int_parameter
from web.responses import REVALIDATED, stored_object, tagged_json
from web.serializers_training import point_json, run_json, sample_json, schedule_json
from web.services import services

POLL_AGAIN_S = "1"
DEFAULT_RECIPE = "fine-tune"
CHANGEABLE = {"enabled", "cron", "min_new_photos", "auto_promote", "recipe", "options"}

blueprint = Blueprint("training", __name__, url_prefix="/api/v1")


class RunBody(JsonBody):
    """What is to be trained: a recipe, what of it is changed, and the version to begin from, else the one in use."""

    recipe: Name = DEFAULT_RECIPE
    options: dict[str, Any] = Field(default_factory=dict)
    parent: Name | None = None
    trigger: Literal["admin", "cli"] = "admin"


class ScheduleBody(JsonBody):
    """What of the schedule is changed. The last three are what GET tells, so that its answer may be sent back."""

    enabled: bool | None = None
    cron: Name | None = None
    min_new_photos: int | None = None
    auto_promote: bool | None = None
    recipe: Name | None = None
    options: dict[str, Any] | None = None
    next_at: Any = None
    updated_at: Any = None
    updated_by: Any = None


@blueprint.get("/training-runs")
def index() -> ResponseReturnValue:
    """The runs, the newest first."""
    current_admin()
    before_id, limit = id_parameter("before"), int_parameter("limit", default=20, lowest=1, highest=500)
    with services().database.read() as records:
        before = training_runs.get_run(records, before_id) if before_id else None
        listed = training_runs.list_runs(records, limit + 1, before)
    shown = [run_json(run) for run in listed[:limit]]
    more = url_for("training.index", limit=limit, before=shown[-1]["id"]) if len(listed) > limit else None
    return tagged_json({"runs": shown, "next": more})


@blueprint.post("/training-runs")
def start() -> ResponseReturnValue:
    """Have a run start as soon as no other one is going on."""
    actor, body = current_admin(), read_json(RunBody)
    config = parse_config(body.recipe, body.options).model_dump(mode="json")
    with services().database.write() as records:
        run = training_runs.submit_run(
            records, trigger=RunTrigger(body.trigger), actor=actor.name, config=config, parent=body.parent
        )
    send_all(services().hints, [TrainHint(run.id)])
    shown = run_json(run)
    return jsonify(shown), HTTPStatus.CREATED, {"Location": shown["links"]["self"]}


@blueprint.get("/training-runs/<id:run_id>")
def show(run_id: str) -> ResponseReturnValue:
    """One run; Retry-After says when to ask again, as long as it is not over."""
    current_admin()
    with services().database.read() as records:
        run = training_runs.get_run(records, run_id)
    response = tagged_json(run_json(run))
    if run.state not in FINAL_RUN_STATES:
        response.headers["Retry-After"] = POLL_AGAIN_S
    return response


@blueprint.post("/training-runs/<id:run_id>/cancel")
def cancel(run_id: str) -> ResponseReturnValue:
    """Stop a run; no model comes of it."""
    current_admin()
    with services().database.write() as records:
        run = training_runs.cancel_run(records, run_id)
    return jsonify(run_json(run)), HTTPStatus.ACCEPTED


@blueprint.get("/training-runs/<id:run_id>/points")
def points(run_id: str) -> ResponseReturnValue:
    """What was measured after a step."""
    current_admin()
    after = int_parameter("after", default=-1, lowest=-1, highest=MAX_NUMBER)
    with services().database.read() as records:
        run = training_runs.get_run(records, run_id)
        found = training_runs.points(records, run.id, after)
    return tagged_json({"points": [point_json(point) for point in found]})


@blueprint.get("/training-runs/<id:run_id>/samples")
def samples(run_id: str) -> ResponseReturnValue:
    """Which pictures the run has drawn so far."""
    current_admin()
    with services().database.read() as records:
        run = training_runs.get_run(records, run_id)
        found = training_runs.samples(records, run.id)
    return tagged_json({"samples": [sample_json(sample) for sample in found]})


@blueprint.get("/training-runs/<id:run_id>/samples/<number:step>/<number:number>/<name:kind>.jpg")
def sample(run_id: str, step: int, number: int, kind: str) -> ResponseReturnValue:
    """One of these pictures. A step that is done again after a resume draws it anew."""
    current_admin()
    with services().database.read() as records:
        key = training_runs.get_sample(records, run_id, step, number, kind).key
    return stored_object(services().storage, key, "image/jpeg", f"{run_id}-{step}-{number}-{kind}.jpg", REVALIDATED)


@blueprint.get("/training-schedule")
def show_schedule() -> ResponseReturnValue:
    """When runs start by themselves."""
    current_admin()
    with services().database.read() as records:
        return tagged_json(schedule_json(training_runs.get_schedule(records)))


@blueprint.put("/training-schedule")
def change_schedule() -> ResponseReturnValue:
    """Change it; what the body does not name stays as it is."""
    actor, body = current_admin(), read_json(ScheduleBody)
    with services().database.write() as records:
        now = schedule_json(training_material.lock_training(records))
        wanted = {name: now[name] for name in CHANGEABLE} | body.model_dump(include=CHANGEABLE, exclude_none=True)
        return jsonify(schedule_json(training_runs.set_schedule(records, **wanted, actor=actor.name)))
