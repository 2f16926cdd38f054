"""Uploads: where a job begins."""

from http import HTTPStatus

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from core import jobs
from core.jobs import Hint
from core.queue import send_all
from core.records import Job, new_id
from core.registry import active_version
from web.auth import current_user
from web.serializers import job_json
from web.services import services
from web.uploads import IncomingFolder, Parcel, receive, storing

blueprint = Blueprint("uploads", __name__, url_prefix="/api/v1/jobs")


@blueprint.post("")
def create() -> ResponseReturnValue:
    """Take an upload and make it a job. Once this answers 201, the bytes are durable and the job is committed."""
    settings, job_id = services().settings, new_id()
    with IncomingFolder(settings.incoming_dir / job_id) as folder:
        parcel = receive(request, folder, settings)
        job = submit(parcel, job_id)
    send_all(services().hints, [Hint(job.id, None, job.express)])
    with services().database.read() as records:
        shown = job_json(job, jobs.measure_progress(records, job))
    return jsonify(shown), HTTPStatus.CREATED, {"Location": shown["links"]["self"]}


def submit(parcel: Parcel, job_id: str) -> Job:
    """Hand the files to the storage, then commit the job; if either fails, nothing of both is left."""
    keys = [f"jobs/{job_id}/uploads/{number}" for number in range(len(parcel.files))]
    with (
        storing(services().storage, keys, parcel.files, lambda: _is_committed(job_id)),
        services().database.write() as records,
    ):
        return jobs.submit(
            records,
            owner_id=current_user().id,
            name=parcel.name,
            model_version=active_version(records).version,
            uploads=[(file.name, key, file.size_bytes) for key, file in zip(keys, parcel.files, strict=True)],
            express=parcel.is_express,
            options=parcel.options,
            job_id=job_id,
        )


def _is_committed(job_id: str) -> bool:
    with services().database.read() as records:
        return records.get(Job, job_id) is not None
