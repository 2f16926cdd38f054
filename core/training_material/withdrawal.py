"""An upload that is taken back, and what goes with it: runs that have begun with it, pictures of it, all that is left.

What a reader or a trainer that died has left is in no row. So the folders are gone through: by whoever takes the upload
back, and once more by a worker, when nobody can be storing there any more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from core.database import for_update
from core.errors import NotFoundError
from core.records import (
    FINAL_RUN_STATES,
    MaterialState,
    MaterialUpload,
    RunState,
    TrainingPhoto,
    TrainingRun,
    TrainingSample,
    utc_now,
)
from core.storage import Storage
from core.training_material.lock import lock_training
from core.training_material.uploads import OPEN_MATERIAL_STATES, USABLE, let_go, lock_upload, stored_keys


@dataclass(frozen=True)
class Leavings:
    """Where bytes of an upload that is over may be stored that nobody needs.

    Args:
        upload_id: of the upload.
        epoch: of the upload, as it was then.
        folders: what their keys begin with.
        kept: keys in there that are needed.
    """

    upload_id: str
    epoch: int
    folders: Sequence[str]
    kept: frozenset[str]

    def keys(self, storage: Storage) -> Iterator[str]:
        """What of it is stored now. Each may be deleted before the next is asked for."""
        for folder in self.folders:
            yield from (key for key in list(storage.list(folder)) if key not in self.kept)


def folder_of_upload(upload_id: str) -> str:
    """What the keys of an upload and of its photographs begin with."""
    return f"training/{upload_id}/"


def folder_of_run(run_id: str) -> str:
    """What the keys of a run's pictures begin with."""
    return f"training/runs/{run_id}/"


def withdraw_upload(session: Session, upload_id: str) -> list[str]:
    """Take an upload and all that came with it out of the material. Gives the keys to delete once this is committed.

    A run that has begun with any of it, and is not over, is canceled as `material_withdrawn`. A second call gives what
    is not deleted yet. Should the caller die before the deletion, the sweeper does it.

    Raises:
        NotFoundError: no_such_upload.
    """
    # Rows are locked in the order in which all others lock them: the schedule, runs, uploads.
    lock_training(session)
    begun = _begun_runs(session)
    upload = lock_upload(session, upload_id)
    if upload is None:
        raise NotFoundError("no_such_upload", f"There is no upload {upload_id}.")
    now = utc_now()
    let_go(upload)
    upload.epoch += 1
    upload.state = MaterialState.WITHDRAWN
    upload.withdrawn_at = upload.withdrawn_at or now
    rows = session.scalars(select(TrainingPhoto).where(TrainingPhoto.upload_id == upload_id)).all()
    for row in rows:
        row.withdrawn_at = row.withdrawn_at or now
    session.flush()
    gone = _gone(session, upload_id)
    for run in begun:
        if not gone.isdisjoint(_photographs_of(run)):
            _cancel(run, upload)
    return [key for key in (upload.key, *(row.key for row in rows)) if key]


def leavings(session: Session, upload_id: str) -> Leavings | None:
    """What of an upload that is over may be stored without need; None for one that is not, or is not there.

    Pictures of runs go with it, where their validation photographs held one that was withdrawn: here their rows, in
    `folders` their bytes.
    """
    upload = lock_upload(session, upload_id)
    if upload is None or upload.state in OPEN_MATERIAL_STATES:
        return None
    folders, kept = [folder_of_upload(upload_id)], stored_keys(session, upload_id)
    if upload.state == MaterialState.WITHDRAWN:
        run_ids = _runs_that_showed(session, _gone(session, upload_id))
        session.execute(delete(TrainingSample).where(TrainingSample.run_id.in_(run_ids)))
        folders, kept = [*folders, *map(folder_of_run, run_ids)], set()
    return Leavings(upload_id, upload.epoch, folders, frozenset(kept))


def note_cleared(session: Session, cleared: Leavings) -> None:
    """Note that nothing of it is stored any more, so that no hint has to be sent, unless it was withdrawn since."""
    same = (MaterialUpload.id == cleared.upload_id) & (MaterialUpload.epoch == cleared.epoch)
    session.execute(update(MaterialUpload).where(same).values(sent_at=None))


def _begun_runs(session: Session) -> list[TrainingRun]:
    """The runs whose photographs are settled and that are not over, locked."""
    opened = select(TrainingRun).where(TrainingRun.state.not_in(FINAL_RUN_STATES))
    runs = session.scalars(for_update(opened.order_by(TrainingRun.created_at, TrainingRun.id)))
    return [run for run in runs if run.snapshot]


def _photographs_of(run: TrainingRun) -> Iterator[str]:
    """The hashes of all that the run is trained, validated and compared on: the lists in its snapshot."""
    for member in run.snapshot.values():
        if isinstance(member, list):
            yield from member


def _gone(session: Session, upload_id: str) -> set[str]:
    """The hashes of the upload's photographs that were usable and are not any more, by no other upload either."""
    withdrawn = select(TrainingPhoto.sha256).where(
        TrainingPhoto.upload_id == upload_id, TrainingPhoto.code == "", TrainingPhoto.withdrawn_at.is_not(None)
    )
    still = select(TrainingPhoto.sha256).where(USABLE, TrainingPhoto.sha256.in_(withdrawn))
    return set(session.scalars(withdrawn)) - set(session.scalars(still))


def _runs_that_showed(session: Session, gone: set[str]) -> list[str]:
    """The runs that may have drawn one of these photographs."""
    shown = session.execute(select(TrainingRun.id, TrainingRun.snapshot["validation"]))
    return [run_id for run_id, hashes in shown if not gone.isdisjoint(hashes or ())]


def _cancel(run: TrainingRun, upload: MaterialUpload) -> None:
    """End the run at once: its worker's claim is void from then on, so that nothing of it is noted or promoted."""
    run.state, run.code = RunState.CANCELED, "material_withdrawn"
    run.message = f"Photographs of {upload.name}, which it had begun with, were withdrawn."
    run.phase, run.finished_at = "", utc_now()
    run.lease_owner, run.lease_until = "", None
