"""The API's description is true: the same routes, and answers that fit its schemas."""

import copy
import re

import jsonschema
import pytest

from core import registry, training_material, training_runs
from core.options import JobOptions
from core.records import JobState, PhotoState, RunState, TrainingRun, Verdict, utc_now
from core.training.config import RECIPES
from core.training_material import NewTrainingPhoto
from web.blueprints.models import ChangeBody
from web.blueprints.openapi import document
from web.blueprints.training import CHANGEABLE, RunBody
from web.priorities import PRIORITIES
from web.uploads.wishes import PARAMETERS

METHODS = {"get", "post", "put", "patch", "delete"}


def closed(schema):
    """The schema with every object closed, so that what is not described is found."""
    if isinstance(schema, dict):
        schema = {name: closed(part) for name, part in schema.items()}
        if "properties" in schema:
            schema["additionalProperties"] = False
    elif isinstance(schema, list):
        schema = [closed(part) for part in schema]
    return schema


@pytest.fixture(scope="module")
def described():
    return document()


@pytest.fixture(scope="module")
def check(described):
    root = closed(copy.deepcopy(described["components"]["schemas"]))

    def check_against(name, content):
        schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": root}}
        jsonschema.validate(
            content,
            schema,
            cls=jsonschema.Draft202012Validator,
            format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
        )

    return check_against


def test_the_description_is_served(site, described):
    response = site.program(site.user("ada")).get("/api/v1/openapi.json")
    assert response.status_code == 200
    assert response.json == described
    assert response.json["openapi"].startswith("3.1")


def test_every_route_of_the_api_is_described_and_nothing_else(site, described):
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(rule)), method.lower())
        for rule in site.app.url_map.iter_rules()
        if str(rule).startswith("/api/")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    told = {(path, method) for path, item in described["paths"].items() for method in item if method in METHODS}
    assert told == served


def test_every_reference_leads_somewhere(described):
    def references(part):
        if isinstance(part, dict):
            if "$ref" in part:
                yield part["$ref"]
            for inner in part.values():
                yield from references(inner)
        elif isinstance(part, list):
            for inner in part:
                yield from references(inner)

    for reference in references(described):
        target = described
        for name in reference.removeprefix("#/").split("/"):
            target = target[name]


def test_every_schema_is_a_schema(described):
    for schema in described["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_path_parameter_is_described(described):
    for path, item in described["paths"].items():
        names = {
            described["components"]["parameters"][part["$ref"].split("/")[-1]]["name"]
            for part in item.get("parameters", [])
        }
        assert names == set(re.findall(r"{(\w+)}", path))


def test_jobs_and_photos_in_every_state_fit_their_schemas(site, check):
    ada = site.user("ada")
    client = site.program(ada)
    created = client.post("/api/v1/jobs?filename=a.jpg", data=b"jpeg", content_type="image/jpeg")
    check("Job", created.json)
    for state in JobState:
        job = site.job(ada, state=state, started_at=utc_now())
        check("Job", client.get(f"/api/v1/jobs/{job.id}").json)
    running = site.job(ada, state=JobState.RUNNING, started_at=utc_now(), ingested_at=utc_now())
    for position, photo_state in enumerate(PhotoState):
        site.photo(running, position, photo_state, chunk=0, finished_at=utc_now())
    done = site.done_photo(running, 100)
    check("Job", client.get(f"/api/v1/jobs/{running.id}").json)
    check("JobPage", client.get("/api/v1/jobs?limit=3").json)
    check("PhotoPage", client.get(f"/api/v1/jobs/{running.id}/photos?limit=3").json)
    check("PhotoPage", client.get(f"/api/v1/jobs/{running.id}/photos").json)
    check("Photo", client.get(f"/api/v1/jobs/{running.id}/photos/{done.id}").json)
    wished = client.post("/api/v1/jobs?filename=a.jpg&network_edge_px=128&mark=true", data=b"jpeg")
    check("Job", wished.json)
    for method, path in (("POST", "pause"), ("POST", "resume"), ("PUT", "priority")):
        body = {"priority": "low"} if method == "PUT" else None
        answer = client.open(f"/api/v1/jobs/{running.id}/{path}", method=method, json=body)
        assert answer.status_code == 200
        check("Job", answer.json)
    canceled = client.post(f"/api/v1/jobs/{running.id}/cancel")
    assert canceled.status_code == 202
    check("Job", canceled.json)


def test_a_job_that_is_deleted_its_photos_and_its_log_fit_their_schemas(site, check):
    ada = site.user("ada")
    client = site.program(ada)
    created = client.post("/api/v1/jobs?filename=a.jpg", data=b"jpeg", content_type="image/jpeg").json
    check("EventPage", client.get(f"{created['links']['events']}?limit=1").json)
    job = site.finished_job(ada)
    photo = site.done_photo(job, 0)
    deleted = client.delete(f"/api/v1/jobs/{job.id}")
    assert deleted.status_code == 202
    check("Job", deleted.json)
    check("PhotoPage", client.get(f"/api/v1/jobs/{job.id}/photos").json)
    check("EventPage", client.get(f"/api/v1/jobs/{job.id}/events").json)
    refusal = client.get(f"/api/v1/jobs/{job.id}/photos/{photo.id}/result")
    assert refusal.status_code == 410
    check("Problem", refusal.json)


def test_a_photo_that_was_approved_fits_its_schema(site, check):
    ada = site.user("ada")
    client = site.program(ada)
    photo = site.done_photo(site.finished_job(ada), 0)
    path = f"/api/v1/jobs/{photo.job_id}/photos/{photo.id}/approval"
    check("Photo", client.put(path).json)
    check("Photo", client.delete(path).json)


def test_models_fit_their_schemas(site, check):
    admin = site.program(site.user("root", admin=True))
    for version in ("v-next", "v-test"):
        site.have_model(version)
    with site.database.write() as records:
        registry.register(records, "v-next", "test", "1" * 64, parent="v-test", metrics={"de00": 10.5}, card="# v-next")
        registry.set_candidate(records, "v-next")
    check("Models", admin.get("/api/v1/models").json)
    check("Model", admin.get("/api/v1/models/v-next").json)
    check("Models", admin.post("/api/v1/models/v-next/promotion", json={"reason": "Better."}).json)
    check("Models", admin.post("/api/v1/models/rollback").json)


def test_runs_in_every_state_and_the_schedule_fit_their_schemas(site, check):
    admin = site.program(site.user("root", admin=True))
    started = admin.post("/api/v1/training-runs", json={"recipe": "quick"}).json
    check("TrainingRun", started)
    with site.database.write() as records:
        claim = training_runs.claim_run(records, started["id"], "trainer", 60)
        training_runs.set_phase(records, claim, "training")
        training_runs.note_point(records, claim, 1, {"loss": 0.5})
        training_runs.note_sample(records, claim, 1, 0, "after", "training/runs/x")
    for state in RunState:
        with site.database.write() as records:
            run = records.get_one(TrainingRun, started["id"])
            run.state, run.verdict, run.candidate = state, Verdict.REJECTED, "v-test"
            run.snapshot = {"sha256": "a" * 64, "train": [], "counts": {"train": 3}}
        check("TrainingRun", admin.get(started["links"]["self"]).json)
    check("TrainingRunPage", admin.get("/api/v1/training-runs").json)
    check("TrainingPoints", admin.get(started["links"]["points"]).json)
    check("TrainingSamples", admin.get(started["links"]["samples"]).json)
    check("TrainingSchedule", admin.get("/api/v1/training-schedule").json)
    check("TrainingSchedule", admin.put("/api/v1/training-schedule", json={"enabled": True}).json)


def test_training_material_fits_its_schemas(site, check):
    admin = site.program(site.user("root", admin=True))
    added = admin.post("/api/v1/training-material?filename=a.zip", data=b"zip", content_type="application/zip").json
    check("MaterialUploads", added)
    path = added["uploads"][0]["links"]["self"]
    check("MaterialUpload", admin.get(path).json)
    with site.database.write() as records:
        claim = training_material.claim_upload(records, added["uploads"][0]["id"], "reader", 60)
        training_material.add_photos(records, claim, [NewTrainingPhoto("a.jpg", code="dull")])
    check("TrainingMaterial", admin.get("/api/v1/training-material").json)
    check("MaterialUpload", admin.delete(path).json)


def test_the_recipes_and_the_bodies_are_described_as_they_are(described):
    schemas = described["components"]["schemas"]
    assert set(schemas["Recipe"]["enum"]) == set(RECIPES)
    assert set(schemas["TrainingRunWish"]["properties"]) == set(RunBody.model_fields)
    assert set(schemas["TrainingScheduleWish"]["properties"]) == CHANGEABLE
    change = described["components"]["requestBodies"]["Change"]["content"]["application/json"]["schema"]
    assert set(change["properties"]) == set(ChangeBody.model_fields)


def test_the_options_are_described_as_they_are(described):
    schemas = described["components"]["schemas"]

    def resolved(schema):
        return schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    post = described["paths"]["/api/v1/jobs"]["post"]
    form = post["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    query = {parameter["name"]: parameter["schema"] for parameter in post["parameters"] if "name" in parameter}
    for name, field in JobOptions.model_json_schema()["properties"].items():
        told = resolved(schemas["Options"]["properties"][name])
        assert form[name] == query[name] == schemas["Options"]["properties"][name]
        for bound in ("minimum", "maximum"):
            assert told.get(bound) == next(
                (one[bound] for one in [field, *field.get("anyOf", [])] if bound in one), None
            )
        assert (told.get("enum"), told["default"]) == (field.get("enum"), field["default"])
    assert set(schemas["Options"]["required"]) == set(JobOptions.model_fields)
    assert set(query) == {*PARAMETERS}
    assert set(schemas["Priority"]["enum"]) == set(PRIORITIES)
    assert set(schemas["JobState"]["enum"]) == set(JobState)
    assert set(schemas["PhotoState"]["enum"]) == set(PhotoState)


def test_problems_fit_their_schema(site, check):
    client = site.program(site.user("ada"))
    answers = [
        site.app.test_client().get("/api/v1/jobs"),
        client.get("/api/v1/nothing"),
        client.delete("/api/v1/jobs"),
        client.get("/api/v1/jobs?limit=0"),
        client.post("/api/v1/jobs", data=b"", content_type="application/json"),
    ]
    assert {answer.status_code for answer in answers} == {401, 404, 405, 422, 415}
    for answer in answers:
        check("Problem", answer.json)


def test_a_wrong_answer_would_be_found(site, check):
    client = site.program(site.user("ada"))
    job = client.post("/api/v1/jobs?filename=a.jpg", data=b"jpeg", content_type="image/jpeg").json
    for wrong in (job | {"extra": 1}, job | {"total": "1"}, {key: job[key] for key in job if key != "eta_s"}):
        with pytest.raises(jsonschema.ValidationError):
            check("Job", wrong)
