"""Jobs: listed, looked at, canceled."""

from http import HTTPStatus

from flask import Blueprint, jsonify, url_for
from flask.typing import ResponseReturnValue

from core import jobs
from core.records import FINAL_JOB_STATES
from web.auth import current_user
from web.parameters import id_parameter, int_parameter
from web.responses import tagged_json
from web.serializers import job_json, jobs_json
from web.services import services

POLL_AGAIN_S = "1"

blueprint = Blueprint("jobs", __name__, url_prefix="/api/v1/jobs")


@blueprint.get("")
def index() -> ResponseReturnValue:
    """The person's jobs, the newest first; everybody's for an admin."""
    user, before_id = current_user(), id_parameter("before")
    limit = int_parameter("limit", default=20, lowest=1, highest=100)
    with services().database.read() as records:
        before = jobs.get_job(records, before_id, user) if before_id else None
        listed = jobs.list_jobs(records, user, limit + 1, before)
        shown = jobs_json(records, listed[:limit])
    more = url_for("jobs.index", limit=limit, before=shown[-1]["id"]) if len(listed) > limit else None
    return tagged_json({"jobs": shown, "next": more})


@blueprint.get("/<id:job_id>")
def show(job_id: str) -> ResponseReturnValue:
    """One job in numbers; Retry-After says when to ask again, as long as it is not over."""
    with services().database.read() as records:
        job = jobs.get_job(records, job_id, current_user())
        response = tagged_json(job_json(job, jobs.measure_progress(records, job)))
    if job.state not in FINAL_JOB_STATES:
        response.headers["Retry-After"] = POLL_AGAIN_S
    return response


@blueprint.post("/<id:job_id>/cancel")
def cancel(job_id: str) -> ResponseReturnValue:
    """Stop a job; what is done stays."""
    with services().database.write() as records:
        jobs.get_job(records, job_id, current_user())
        job = jobs.cancel(records, job_id)
        shown = job_json(job, jobs.measure_progress(records, job))
    return jsonify(shown), HTTPStatus.ACCEPTED
