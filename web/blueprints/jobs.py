"""Jobs: listed, looked at, paused, resumed, canceled, retried, put before or behind others, deleted."""

from collections.abc import Callable
from http import HTTPStatus

from flask import Blueprint, jsonify, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from core import jobs
from core.jobs import Hint
from core.queue import send_all
from core.records import FINAL_JOB_STATES, Job
from web.auth import current_actor, current_user
from web.bodies import JsonBody, read_json
from web.parameters import id_parameter, int_parameter
from web.priorities import priority_for
from web.responses import tagged_json
from web.serializers import jobs_json, show_job
from web.services import services

POLL_AGAIN_S = "1"

blueprint = Blueprint("jobs", __name__, url_prefix="/api/v1/jobs")


class PriorityBody(JsonBody):
    """What a job's priority is to be."""

    priority: str


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
        response = tagged_json(show_job(records, job))
    if job.state not in FINAL_JOB_STATES:
        response.headers["Retry-After"] = POLL_AGAIN_S
    return response


@blueprint.post("/<id:job_id>/pause")
def pause(job_id: str) -> ResponseReturnValue:
    """Let nothing more of a job be begun until it is resumed."""
    return change(job_id, lambda records: (jobs.pause(records, job_id, current_actor()), []))


@blueprint.post("/<id:job_id>/resume")
def resume(job_id: str) -> ResponseReturnValue:
    """Let a paused job go on."""
    return change(job_id, lambda records: jobs.resume(records, job_id, current_actor(), services().job_limits))


@blueprint.post("/<id:job_id>/retry")
def retry(job_id: str) -> ResponseReturnValue:
    """Work once more on the photographs that failed; the others stay as they are."""
    return change(job_id, lambda records: jobs.retry_failed(records, job_id, current_actor(), services().job_limits))


@blueprint.put("/<id:job_id>/priority")
def prioritize(job_id: str) -> ResponseReturnValue:
    """Put a job before or behind others; before those of everybody else only for admins."""
    priority = priority_for(current_user(), read_json(PriorityBody).priority)
    return change(job_id, lambda records: (jobs.set_priority(records, job_id, priority), []))


@blueprint.post("/<id:job_id>/cancel")
def cancel(job_id: str) -> ResponseReturnValue:
    """Stop a job; what is done stays."""
    return change(
        job_id, lambda records: (jobs.cancel(records, job_id, current_actor()), []), status=HTTPStatus.ACCEPTED
    )


@blueprint.delete("/<id:job_id>")
def delete(job_id: str) -> ResponseReturnValue:
    """Delete the originals and results of a job that is over. Nothing of it is served from now on; its row stays."""
    return change(
        job_id, lambda records: (jobs.expire(records, job_id, current_actor()), []), status=HTTPStatus.ACCEPTED
    )


def change(
    job_id: str, do: Callable[[Session], tuple[Job, list[Hint]]], *, status: HTTPStatus = HTTPStatus.OK
) -> ResponseReturnValue:
    """Change a job of this person's, send the hints that come of it, and show it as it stands then."""
    with services().database.read() as records:
        jobs.get_job(records, job_id, current_user())
    with services().database.write() as records:
        job, hints = do(records)
        shown = show_job(records, job)
    send_all(services().hints, hints)
    return jsonify(shown), status
