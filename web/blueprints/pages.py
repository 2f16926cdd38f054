"""The pages for people: the drop zone, the list of jobs, one job; for admins training, one run, and the models."""

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue

from core import jobs, training_runs
from core.training.config import RECIPES
from web.auth import current_admin, current_user
from web.blueprints.training import DEFAULT_RECIPE
from web.parameters import id_parameter
from web.serializers import jobs_json, show_job
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
        shown = show_job(records, found)
    return render_template("job.html", job=shown)


@blueprint.get("/training")
def training() -> ResponseReturnValue:
    """The material, a run now, the schedule, and all runs."""
    current_admin()
    recipes = [{"name": name, "steps_total": config.steps_total} for name, config in RECIPES.items()]
    return render_template(
        "training.html",
        recipes=recipes,
        default_recipe=DEFAULT_RECIPE,
        max_upload_bytes=services().settings.max_upload_bytes,
    )


@blueprint.get("/training/runs/<id:run_id>")
def training_run(run_id: str) -> ResponseReturnValue:
    """One training run."""
    current_admin()
    with services().database.read() as records:
        training_runs.get_run(records, run_id)
    return render_template("training_run.html", run_id=run_id)


@blueprint.get("/models")
def models() -> ResponseReturnValue:
    """Every model version, for any signed-in person; only an admin may change which one is in use."""
    return render_template("models.html")
