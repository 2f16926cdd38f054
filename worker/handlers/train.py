"""A training run, from its claim to its verdict."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from core import registry, training_material
from core import training_runs as runs
from core.errors import Gray2HueError, TransientError
from core.machine import locked
from core.model_store import provide_model, store_model
from core.records import FINAL_RUN_STATES, ModelSource, ModelVersion, RunState, TrainingRun, Verdict
from core.training.config import TrainingConfig
from core.training.preparing import PreparedPhotos
from core.training.watching import TrainingError, TrainingStoppedError
from core.training_runs import RunClaim, Snapshot
from worker.handlers.comparing import Comparing, Comparison
from worker.handlers.context import Context, TrainingSetup, heartbeat
from worker.handlers.run_photos import RunPhotos
from worker.handlers.run_watch import RunWatch

if TYPE_CHECKING:
    from core.training.export import TrainedModel

log = logging.getLogger(__name__)

WITHDRAWN = "Some of what it was trained on was withdrawn meanwhile, so an admin decides."


class VoidRunError(Exception):
    """The run is somebody else's by now, or is to be canceled."""


def train(context: Context, setup: TrainingSetup, run_id: str) -> None:
    """Work on a run until its end, or until this process has to end; does nothing where it is not its turn.

    Goes on where an earlier worker on this machine fell. No two work on this machine at once, not even one that lost
    its lease and does not know it yet.
    """
    setup.training_dir.mkdir(parents=True, exist_ok=True)
    with locked(setup.training_dir / "lock"):
        delete_leavings(context, setup)
        if not _waits(context, run_id):
            return
        # Loading torch takes seconds, with a slow disk many, in which no heart can beat: so it comes before the claim.
        import core.training.loop  # noqa: F401

        with context.database.write() as session:
            claim = runs.claim_run(session, run_id, context.owner, context.job_limits.lease_s)
        if claim is not None:
            try:
                _work(context, setup, claim)
            finally:
                delete_leavings(context, setup)


def _waits(context: Context, run_id: str) -> bool:
    with context.database.read() as session:
        return session.scalar(select(TrainingRun.state).where(TrainingRun.id == run_id)) == RunState.QUEUED


def delete_leavings(context: Context, setup: TrainingSetup) -> None:
    """Delete the folders of runs that are over."""
    folders = {path.name: path for path in setup.training_dir.iterdir() if path.is_dir()}
    with context.database.read() as session:
        opened = select(TrainingRun.id).where(
            TrainingRun.id.in_(list(folders)), TrainingRun.state.not_in(FINAL_RUN_STATES)
        )
        kept = set(session.scalars(opened))
    for name, path in folders.items():
        if name not in kept:
            shutil.rmtree(path, ignore_errors=True)


def delete_old_leavings(context: Context, setup: TrainingSetup) -> None:
    """The same when a trainer's process starts: a run may have been canceled while none was there to notice.

    Where another process on this machine is training, that one does it. What fails is noted in the log; the next run
    tries again.
    """
    try:
        setup.training_dir.mkdir(parents=True, exist_ok=True)
        with locked(setup.training_dir / "lock", waits=False):
            delete_leavings(context, setup)
    except BlockingIOError:
        return
    except (OSError, SQLAlchemyError) as error:
        log.warning("what earlier training runs left on this machine stays: %s", error)


def _work(context: Context, setup: TrainingSetup, claim: RunClaim) -> None:
    work = RunWork(context, setup, claim)
    try:
        with heartbeat(context.heartbeat_s, work.watch.renew):
            work.run()
    except (TrainingStoppedError, VoidRunError):
        log.info("training run %s was laid down", claim.run_id)
        work.release()
    except (TransientError, OperationalError):
        work.release()
        raise
    except Gray2HueError as error:
        log.warning("training run %s failed: %s: %s", claim.run_id, error.code, error.message)
        work.fail(error)
    except Exception:
        log.exception("training run %s failed unexpectedly", claim.run_id)
        work.fail(Gray2HueError("internal_error", "Training failed unexpectedly; see the trainer's log."))
        raise


class RunWork:
    """The work on one run.

    Args:
        context: connections.
        setup: of this machine.
        claim: of the run.
    """

    def __init__(self, context: Context, setup: TrainingSetup, claim: RunClaim) -> None:
        self._context = context
        self._setup = setup
        self._claim = claim
        self._folder = setup.training_dir / claim.run_id
        config = TrainingConfig.model_validate(claim.config)
        open_device = config.device == "auto"
        self._trained_on: list[str] = []
        self._config = config.model_copy(update={"device": setup.device}) if open_device else config
        self.watch = RunWatch(context, claim, setup.is_leaving, yields=setup.yields and self._uses_cuda())

    def run(self) -> None:
        """Prepare, train, compare, and write down what came of it."""
        self._enter("preparing")
        snapshot = self._snapshot()
        self._trained_on = [photo.key for photo in snapshot.train]
        photos = RunPhotos(self._context.storage, self._folder, self.watch.heeded, self._usable)
        to_train_on = photos.to_train_on(snapshot.train, self._config)
        self._check_enough(len(to_train_on))
        validation = photos.to_validate(snapshot.validation)
        sets = {
            "frozen": photos.to_compare("frozen", snapshot.frozen),
            "held_out": photos.to_compare("held_out", snapshot.held_out),
        }
        self._enter("training")
        model = self._train(to_train_on, validation)
        self._enter("comparing")
        active, comparison = self._compare(model, sets)
        self._conclude(model, active, comparison)

    def release(self) -> None:
        """Let go of the run unharmed."""
        with self._context.database.write() as session:
            runs.release_run(session, self._claim)

    def fail(self, error: Gray2HueError) -> None:
        """End the run as failed."""
        with self._context.database.write() as session:
            runs.fail_run(session, self._claim, error.code, error.message)

    def _uses_cuda(self) -> bool:
        if self._config.device == "auto":
            import torch

            return torch.cuda.is_available()
        return self._config.device == "cuda"

    def _enter(self, phase: str) -> None:
        with self._context.database.write() as session:
            if not runs.set_phase(session, self._claim, phase):
                raise VoidRunError

    def _snapshot(self) -> Snapshot:
        with self._context.database.write() as session:
            snapshot = runs.settle_snapshot(session, self._claim)
        if snapshot is None:
            raise VoidRunError
        self._check_enough(len(snapshot.train))
        return snapshot

    def _check_enough(self, found: int) -> None:
        needed = self._setup.min_photos
        if found < needed:
            message = f"There are {found} photographs to train on, and {needed} are needed."
            raise TrainingError("too_little_material", message)

    def _usable(self, keys: Sequence[str]) -> set[str]:
        with self._context.database.read() as session:
            return training_material.usable_keys(session, keys)

    def _train(self, photos: PreparedPhotos, validation: PreparedPhotos) -> "TrainedModel":
        from core.training.loop import train as train_model

        parent_dir = self._model_dir(self._claim.parent) if self._config.from_parent else None
        seen = [validation.rgb(number) for number in range(len(validation))]
        # What was withdrawn in the meantime is not in the sets any more, and no state goes on with other sets.
        state_dir = self._folder / f"state-{photos.sha256[:16]}-{validation.sha256[:16]}"
        return train_model(self._config, photos, seen, state_dir, parent_dir, self.watch)

    def _compare(self, model: "TrainedModel", sets: Mapping[str, PreparedPhotos]) -> tuple[str, Comparison]:
        setup = self._setup
        with self._context.database.read() as session:
            active = registry.active_version(session).version
        comparing = Comparing(self._folder, setup.runtimes_dir, setup.device, setup.kind, self.watch.heeded)
        return active, comparing.compare(model.prepared, self._model_dir(active), sets, self._config.seed)

    def _model_dir(self, version: str) -> Path:
        with self._context.database.read() as session:
            registered = registry.get_version(session, version)
        setup = self._setup
        return provide_model(self._context.storage, registered, setup.models_dir, setup.imported_dir)

    def _conclude(self, model: "TrainedModel", active: str, comparison: Comparison) -> None:
        """Register, promote and close, all or nothing."""
        with self._context.database.write() as session:
            candidate = self._registered(session, model, comparison)
            verdict, reason = self._verdict(session, candidate, active, comparison)
            result = comparison.as_json(candidate, active)
            if not runs.finish_run(
                session, self._claim, verdict=verdict, reason=reason, candidate=candidate, result=result
            ):
                raise VoidRunError
        log.info("training run %s: %s is %s: %s", self._claim.run_id, candidate, verdict, reason)

    def _registered(self, session: Session, model: "TrainedModel", comparison: Comparison) -> str:
        """The name under which the registry has the model; weights that it knows already keep theirs."""
        prepared = model.prepared
        known = session.scalar(select(ModelVersion).where(ModelVersion.sha256 == prepared.metadata.sha256))
        if known is not None:
            return known.version
        version = registry.register(
            session,
            prepared.metadata.version,
            prepared.metadata.name,
            prepared.metadata.sha256,
            source=ModelSource.TRAINED,
            parent=prepared.metadata.parent,
            metrics=comparison.candidate_metrics or model.metrics,
            card=model.card,
        )
        version.key = store_model(self._context.storage, prepared, model.card)
        return version.version

    def _verdict(self, session: Session, candidate: str, compared: str, comparison: Comparison) -> tuple[Verdict, str]:
        """What comes of the comparison, and why; the registry's aliases with it."""
        active, reason = registry.active_version(session).version, comparison.decision.reason
        if comparison.decision.outcome != "better" or candidate == active:
            return Verdict.REJECTED, reason
        if self._is_withdrawn(session):
            registry.set_candidate(session, candidate)
            return Verdict.CANDIDATE, f"{reason} {WITHDRAWN}"
        # Another version than it was compared with may have been promoted in the meantime: then a person decides.
        if active != compared or not runs.get_schedule(session).auto_promote:
            registry.set_candidate(session, candidate)
            return Verdict.CANDIDATE, reason
        actor = session.scalars(select(TrainingRun.actor).where(TrainingRun.id == self._claim.run_id)).one()
        registry.promote(session, candidate, actor, reason)
        return Verdict.PROMOTED, reason

    def _is_withdrawn(self, session: Session) -> bool:
        """Whether an approved result that was trained on is no longer; a withdrawn upload has canceled the run."""
        return len(training_material.usable_keys(session, self._trained_on)) < len(self._trained_on)
