"""Uploads: where a job begins."""

from http import HTTPStatus

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError

from core import jobs
from core.boundaries import Boundary
from core.jobs import Hint, JobProgress, OwnerLimits, PhotoCounts
from core.queue import send_all
from core.records import Job, JobState, PhotoState, new_id
from core.registry import active_version
from web.auth import current_user
from web.offers import Offers
from web.serializers import job_json
from web.services import services
from web.uploads import (
    Arrival,
    IncomingFolder,
    Parcel,
    Reception,
    Wishes,
    check_room,
    provisional_name,
    receive,
    receiving,
    storing,
)

NOTHING_YET = JobProgress(PhotoCounts(dict.fromkeys(PhotoState, 0)), unpacking=True)

blueprint = Blueprint("uploads", __name__, url_prefix="/api/v1/jobs")


@blueprint.post("")
def create() -> ResponseReturnValue:
    """Take an upload and make it a job. Once this answers 201, the bytes are durable and the job is committed.

    Its row is there before its bytes, in the state `receiving`. What is refused, or breaks off, leaves neither.
    """
    parts, job_id = services(), new_id()
    wishes = Wishes(request.args, current_user())
    check_room(parts.storage, request.content_length, parts.settings.storage_reserve_bytes)
    arrival = Arrival(job_id, current_user().id, provisional_name(wishes), request.content_length or 0)
    lease_s = parts.settings.receiving_lease_s
    with (
        receiving(parts.database, parts.storage, arrival, parts.owner_limits, lease_s) as reception,
        IncomingFolder(parts.settings.incoming_dir / job_id) as folder,
    ):
        parcel = receive(request, folder, parts.settings, wishes, reception.note_progress)
        job = submit(parcel, job_id, reception)
    parts.boundaries.reach(Boundary.JOB_COMMITTED, job_id)
    send_all(parts.hints, [Hint(job.id, None, job.express)])
    parts.boundaries.reach(Boundary.HINT_ENQUEUED, job_id)
    shown = job_json(job, NOTHING_YET, Offers(pause=True, resume=False, retry=False))
    return jsonify(shown), HTTPStatus.CREATED, {"Location": shown["links"]["self"]}


def submit(parcel: Parcel, job_id: str, reception: Reception) -> Job:
    """Hand the files to the storage, then commit the job; if either fails, nothing of both is left."""
    keys = [f"jobs/{job_id}/uploads/{number}" for number in range(len(parcel.files))]
    with storing(
        services().storage,
        keys,
        parcel.files,
        is_committed=lambda: find_submitted(job_id) is not None,
        on_progress=reception.note_progress,
    ):
        try:
            return commit(parcel, job_id, keys, reception)
        except OperationalError:
            # The answer to a commit may get lost on its way; what is committed is not to be sent again.
            if (job := find_submitted(job_id)) is None:
                raise
            return job


def commit(parcel: Parcel, job_id: str, keys: list[str], reception: Reception) -> Job:
    """Turn the row that was there while the bytes came in into a job that waits for its turn.

    Raises:
        TransientError: `upload_given_up`.
        LimitError: `stored_bytes_exceeded`, for an upload that did not tell its length beforehand.
    """
    parts, owner = services(), current_user()
    bytes_alone = OwnerLimits(open_jobs=0, open_photos=0, stored_bytes=parts.owner_limits.stored_bytes)
    with parts.database.write() as records:
        reception.renew(records)
        jobs.check_limits(records, owner.id, bytes_alone, parcel.size_bytes)
        return jobs.submit(
            records,
            job_id=job_id,
            owner_id=owner.id,
            name=parcel.name,
            model_version=active_version(records).version,
            uploads=[(file.name, key, file.size_bytes) for key, file in zip(keys, parcel.files, strict=True)],
            express=parcel.is_express,
            options=parcel.options,
            priority=parcel.priority,
            lifetime_days=parts.settings.job_lifetime_days,
        )


def find_submitted(job_id: str) -> Job | None:
    """The job, if it is committed as more than an upload on its way in."""
    with services().database.read() as records:
        job = records.get(Job, job_id)
    return None if job is None or job.state == JobState.RECEIVING else job
