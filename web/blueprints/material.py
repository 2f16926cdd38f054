"""Training material: color photographs that an admin brings to train on, and takes back."""

from collections.abc import Sequence
from http import HTTPStatus
from itertools import chain

from flask import Blueprint, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from core import training_material
from core.errors import OptionsError
from core.queue import MaterialHint, send_all
from core.records import MaterialUpload, new_id
from web.auth import current_admin
from web.responses import tagged_json
from web.serializers_training import material_json, materials_json
from web.services import services
from web.uploads import (
    FILE_NAME,
    IncomingFile,
    IncomingFolder,
    check_room,
    delete_objects,
    receive_files,
    storing,
)

blueprint = Blueprint("material", __name__, url_prefix="/api/v1/training-material")


@blueprint.get("")
def index() -> ResponseReturnValue:
    """How much there is to train on, and every upload that brought it."""
    current_admin()
    with services().database.read() as records:
        uploads = training_material.list_uploads(records)
        counts = training_material.counts(records, [upload.id for upload in uploads])
        summary = training_material.summary(records)
    return tagged_json({"summary": summary, "uploads": materials_json(uploads, counts)})


@blueprint.get("/<id:upload_id>")
def show(upload_id: str) -> ResponseReturnValue:
    """One upload."""
    current_admin()
    with services().database.read() as records:
        upload = training_material.get_upload(records, upload_id)
        counts = training_material.counts(records, [upload_id])
    return tagged_json(material_json(upload, counts.get(upload_id, {})))


@blueprint.post("")
def create() -> ResponseReturnValue:
    """Take archives or photographs. Once this answers 201, the bytes are durable and every file has its record."""
    settings, owner = services().settings, current_admin()
    if unknown := [name for name in request.args if name != FILE_NAME]:
        raise OptionsError("bad_parameter", f"There is no parameter {unknown[0]!r} here, only: {FILE_NAME}.")
    check_room(services().storage, request.content_length, settings.storage_reserve_bytes)
    with IncomingFolder(settings.incoming_dir / new_id()) as folder:
        files = receive_files(request, folder, settings, lambda _name, _text: None)
        uploads = add_uploads(files, owner.id)
    send_all(services().hints, [MaterialHint(upload.id) for upload in uploads])
    shown = materials_json(uploads, {})
    return jsonify(uploads=shown), HTTPStatus.CREATED, {"Location": url_for("material.index")}


def add_uploads(files: Sequence[IncomingFile], owner_id: str) -> list[MaterialUpload]:
    """Hand the files to the storage, then commit an upload for each; if either fails, nothing of both is left."""
    ids = [new_id() for _ in files]
    keys = [f"{training_material.folder_of_upload(upload_id)}upload" for upload_id in ids]
    with (
        storing(services().storage, keys, files, lambda: _is_committed(ids[0])),
        services().database.write() as records,
    ):
        return [
            training_material.add_upload(
                records, upload_id=upload_id, owner_id=owner_id, name=file.name, key=key, size_bytes=file.size_bytes
            )
            for upload_id, key, file in zip(ids, keys, files, strict=True)
        ]


@blueprint.delete("/<id:upload_id>")
def withdraw(upload_id: str) -> ResponseReturnValue:
    """Take an upload back: its bytes are deleted, and no run begins or goes on with it.

    A worker looks once more for what a reader or a trainer stored that did not know of it yet.
    """
    current_admin()
    storage = services().storage
    with services().database.write() as records:
        keys = training_material.withdraw_upload(records, upload_id)
        left = training_material.leavings(records, upload_id)
    delete_objects(storage, keys if left is None else chain(keys, left.keys(storage)))
    with services().database.read() as records:
        upload = training_material.get_upload(records, upload_id)
        counts = training_material.counts(records, [upload_id])
    return jsonify(material_json(upload, counts.get(upload_id, {})))


def _is_committed(upload_id: str) -> bool:
    with services().database.read() as records:
        return records.get(MaterialUpload, upload_id) is not None
