"""Model versions, training runs, the schedule and the material as JSON, for the API and the pages alike."""

import math
from collections.abc import Mapping, Sequence

from flask import url_for
from sqlalchemy.orm import Session

from core import registry
from core.records import (
    AliasName,
    MaterialUpload,
    ModelVersion,
    Promotion,
    TrainingPoint,
    TrainingRun,
    TrainingSample,
    TrainingSchedule,
)
from web.serializers import Json, time_json

PROMOTIONS_SHOWN = 50


def models_json(session: Session) -> Json:
    """All model versions, the newest first, which of them the aliases name, and how that came."""
    active = registry.active_version(session).version
    candidate = aliased_name(session, AliasName.CANDIDATE)
    return {
        "models": [model_json(model, active, candidate) for model in registry.all_versions(session)],
        "active": active,
        "candidate": candidate,
        "history": [promotion_json(promotion) for promotion in registry.history(session, PROMOTIONS_SHOWN)],
    }


def aliased_name(session: Session, name: AliasName) -> str | None:
    """The name of the version that the alias points at, if it points at one."""
    model = registry.aliased(session, name)
    return None if model is None else model.version


def model_json(model: ModelVersion, active: str, candidate: str | None) -> Json:
    """One model version; `active` and `candidate` are the versions that the aliases name."""
    return {
        "version": model.version,
        "name": model.name,
        "sha256": model.sha256,
        "source": model.source,
        "parent": model.parent,
        "metrics": model.metrics,
        "card": model.card,
        "created_at": time_json(model.created_at),
        "is_active": model.version == active,
        "is_candidate": model.version == candidate,
        "links": {
            "self": url_for("models.show", version=model.version),
            "promotion": url_for("models.promote", version=model.version),
        },
    }


def promotion_json(promotion: Promotion) -> Json:
    """One change of the version in use."""
    return {
        "version": promotion.version,
        "previous": promotion.previous,
        "kind": promotion.kind,
        "actor": promotion.actor,
        "reason": promotion.reason,
        "created_at": time_json(promotion.created_at),
    }


def run_json(run: TrainingRun) -> Json:
    """One training run. Of the snapshot only its hash and counts: the hashes of all photographs would be megabytes."""
    return {
        "id": run.id,
        "trigger": run.trigger,
        "actor": run.actor,
        "state": run.state,
        "phase": run.phase,
        "step": run.step,
        "steps_total": run.steps_total,
        "config": run.config,
        "parent": run.parent,
        "snapshot": {"sha256": run.snapshot.get("sha256", ""), "counts": run.snapshot.get("counts", {})},
        "verdict": run.verdict,
        "verdict_reason": run.verdict_reason,
        "candidate": run.candidate,
        "code": run.code,
        "message": run.message,
        "result": run.result,
        "created_at": time_json(run.created_at),
        "started_at": time_json(run.started_at),
        "finished_at": time_json(run.finished_at),
        "links": {
            "self": url_for("training.show", run_id=run.id),
            "points": url_for("training.points", run_id=run.id),
            "samples": url_for("training.samples", run_id=run.id),
            "cancel": url_for("training.cancel", run_id=run.id),
            "page": url_for("pages.training_run", run_id=run.id),
        },
    }


def point_json(point: TrainingPoint) -> Json:
    """What was measured at one step of a run. JSON knows only finite numbers; others come as null."""
    measured = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in point.measured.items()
    }
    return {**measured, "step": point.step}


def sample_json(sample: TrainingSample) -> Json:
    """One picture that a run drew on its way."""
    return {
        "step": sample.step,
        "number": sample.number,
        "kind": sample.kind,
        "url": url_for(
            "training.sample", run_id=sample.run_id, step=sample.step, number=sample.number, kind=sample.kind
        ),
    }


def schedule_json(schedule: TrainingSchedule) -> Json:
    """When runs start by themselves, and with what."""
    return {
        "enabled": schedule.enabled,
        "cron": schedule.cron,
        "min_new_photos": schedule.min_new_photos,
        "auto_promote": schedule.auto_promote,
        "recipe": schedule.config.get("recipe", ""),
        "options": schedule.config.get("options", {}),
        "next_at": time_json(schedule.next_at),
        "updated_at": time_json(schedule.updated_at),
        "updated_by": schedule.updated_by,
    }


def material_json(upload: MaterialUpload, counts: Mapping[str, int]) -> Json:
    """One upload of training material; `counts` are its files by code, `usable` for those that nothing is against."""
    return {
        "id": upload.id,
        "name": upload.name,
        "state": upload.state,
        "code": upload.code,
        "message": upload.message,
        "size_bytes": upload.size_bytes,
        "counts": {"usable": 0, **counts},
        "created_at": time_json(upload.created_at),
        "withdrawn_at": time_json(upload.withdrawn_at),
        "links": {"self": url_for("material.show", upload_id=upload.id)},
    }


def materials_json(uploads: Sequence[MaterialUpload], counts: Mapping[str, Mapping[str, int]]) -> list[Json]:
    """Several uploads; `counts` by their ids."""
    return [material_json(upload, counts.get(upload.id, {})) for upload in uploads]
