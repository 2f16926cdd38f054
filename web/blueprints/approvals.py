"""Approvals: a person says of a result that its colors are right, which lets later models be trained on it."""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from core import jobs, training_material
from core.errors import StateError
from core.records import Photo, PhotoState, TrainingPhoto, User, new_id
from web.auth import current_user
from web.offers import get_kept_job
from web.serializers import photo_json
from web.services import services
from web.uploads import delete_objects, discard

blueprint = Blueprint("approvals", __name__, url_prefix="/api/v1/jobs/<id:job_id>/photos/<id:photo_id>/approval")


@blueprint.put("")
def approve(job_id: str, photo_id: str) -> ResponseReturnValue:
    """Approve a result; of the job's owner or an admin. Doing it again changes nothing."""
    with services().database.read() as records:
        get_kept_job(records, job_id)
    photo, is_approved = find(job_id, photo_id)
    if photo.state != PhotoState.DONE:
        raise StateError("not_done", f"{photo.path} has no result to approve: it is {photo.state}.")
    if not is_approved:
        keep_result(photo, current_user())
    return jsonify(photo_json(photo, approved=True))


@blueprint.delete("")
def withdraw(job_id: str, photo_id: str) -> ResponseReturnValue:
    """Take an approval back: no run that starts from now on sees the result. Doing it again changes nothing."""
    photo, _ = find(job_id, photo_id)
    with services().database.write() as records:
        keys = training_material.withdraw_approval(records, photo.id)
    delete_objects(services().storage, keys)
    return jsonify(photo_json(photo, approved=False))


def find(job_id: str, photo_id: str) -> tuple[Photo, bool]:
    """The photo, and whether its result is approved; NotFoundError for what this person may not see."""
    with services().database.read() as records:
        photo = jobs.get_photo(records, jobs.get_job(records, job_id, current_user()), photo_id)
        return photo, photo.id in training_material.approved(records, [photo.id])


def keep_result(photo: Photo, approver: User) -> None:
    """Copy the result to the training material, then commit the approval.

    Each copy has a key of its own, so that one who withdraws at the same time never deletes the bytes of a newer
    approval.
    """
    storage, key = services().storage, f"training/approved/{photo.id}-{new_id()}"
    try:
        with storage.open(photo.result_key) as result:
            storage.put(key, result)
        with services().database.write() as records:
            kept = training_material.approve_photo(records, photo, approved_by=approver.id, key=key).key
    except Exception:
        discard(storage, [key], lambda: _is_committed(key))
        raise
    if kept != key:
        delete_objects(storage, [key])


def _is_committed(key: str) -> bool:
    with services().database.read() as records:
        return records.scalar(select(TrainingPhoto.id).where(TrainingPhoto.key == key)) is not None
