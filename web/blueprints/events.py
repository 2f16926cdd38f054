"""The log of a job: every change of its own state, and of its photos'."""

from collections.abc import Sequence

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from core import jobs
from core.records import JobEvent
from web.auth import current_user
from web.parameters import MAX_EVENT, choice_parameter, int_parameter
from web.responses import tagged_json
from web.serializers import events_json
from web.services import services

blueprint = Blueprint("events", __name__, url_prefix="/api/v1/jobs/<id:job_id>/events")


@blueprint.get("")
def index(job_id: str) -> ResponseReturnValue:
    """A page of the log, the oldest entries first."""
    after = int_parameter("after", default=0, lowest=0, highest=MAX_EVENT)
    limit = int_parameter("limit", default=100, lowest=1, highest=500)
    of = choice_parameter("of", ("all", "job"))
    with services().database.read() as records:
        job = jobs.get_job(records, job_id, current_user())
        listing = jobs.list_events if of == "all" else list_own_events
        listed = listing(records, job.id, after=after, limit=limit + 1)
        shown = events_json(records, listed[:limit])
    more = None
    if len(listed) > limit:
        more = url_for("events.index", job_id=job_id, of=of, limit=limit, after=shown[-1]["id"])
    return tagged_json({"events": shown, "next": more})


def list_own_events(session: Session, job_id: str, *, after: int, limit: int) -> Sequence[JobEvent]:
    """As `jobs.list_events`, without those of the job's photos."""
    events = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.photo_id.is_(None), JobEvent.id > after)
    return session.scalars(events.order_by(JobEvent.id).limit(limit)).all()
