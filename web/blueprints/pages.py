"""The pages for people: the drop zone, the list of jobs, one job."""

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue

from core import jobs
from web.auth import current_user
from web.parameters import id_parameter
from web.serializers import job_json, jobs_json
from web.services import services

RECENT_JOBS = 5
JOBS_PER_PAGE = 25

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def start() -> ResponseReturnValue:
    """The drop zone and the latest jobs."""
    with services().database.read() as records:
        recent = jobs_json(records, jobs.list_jobs(records, current_user(), RECENT_JOBS))
    return render_template("upload.html", jobs=recent, max_upload_bytes=services().settings.max_upload_bytes)


@blueprint.get("/jobs")
def job_list() -> ResponseReturnValue:
    """All jobs, the newest first."""
    user, before_id = current_user(), id_parameter("before")
    with services().database.read() as records:
        before = jobs.get_job(records, before_id, user) if before_id else None
        listed = jobs.list_jobs(records, user, JOBS_PER_PAGE + 1, before)
        shown = jobs_json(records, listed[:JOBS_PER_PAGE])
    more = url_for("pages.job_list", before=shown[-1]["id"]) if len(listed) > JOBS_PER_PAGE else None
    return render_template("jobs.html", jobs=shown, next=more)


@blueprint.get("/jobs/<id:job_id>")
def job(job_id: str) -> ResponseReturnValue:
    """One job."""
    with services().database.read() as records:
        found = jobs.get_job(records, job_id, current_user())
        shown = job_json(found, jobs.measure_progress(records, found))
    return render_template("job.html", job=shown)
