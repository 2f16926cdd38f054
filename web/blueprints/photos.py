"""Photos of a job as JSON."""

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from core import jobs
from web.auth import current_user
from web.parameters import MAX_NUMBER, choice_parameter, int_parameter, photo_states
from web.responses import tagged_json
from web.serializers import photos_json
from web.services import services

blueprint = Blueprint("photos", __name__, url_prefix="/api/v1/jobs/<id:job_id>/photos")


@blueprint.get("")
def index(job_id: str) -> ResponseReturnValue:
    """A page of the job's photos in the order of the upload."""
    after = int_parameter("after", default=-1, lowest=-1, highest=MAX_NUMBER)
    limit = int_parameter("limit", default=100, lowest=1, highest=500)
    states, warned = photo_states(), choice_parameter("warned", ("false", "true"))
    with services().database.read() as records:
        job = jobs.get_job(records, job_id, current_user())
        listed = jobs.list_photos(records, job.id, after=after, limit=limit + 1, states=states, warned=warned == "true")
        shown, more = photos_json(records, job, listed[:limit]), None
    if len(listed) > limit:
        query = {"limit": limit, "state": request.args.getlist("state"), "after": shown[-1]["position"]}
        query |= {"warned": warned} if warned == "true" else {}
        more = url_for("photos.index", job_id=job_id, **query)
    return tagged_json({"photos": shown, "next": more})


@blueprint.get("/<id:photo_id>")
def show(job_id: str, photo_id: str) -> ResponseReturnValue:
    """One photo."""
    with services().database.read() as records:
        job = jobs.get_job(records, job_id, current_user())
        (shown,) = photos_json(records, job, [jobs.get_photo(records, job, photo_id)])
    return tagged_json(shown)
