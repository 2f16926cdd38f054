"""Records as JSON, for the API and the pages alike."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import url_for
from sqlalchemy.orm import Session

from core import jobs, training_material
from core.jobs import JobProgress
from core.records import FINAL_JOB_STATES, ApiKey, Job, JobState, Photo, PhotoState

Json = dict[str, Any]


def job_json(job: Job, progress: JobProgress) -> Json:
    """One job and its progress."""
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "code": job.code,
        "message": job.message,
        "model_version": job.model_version,
        "options": job.options.model_dump(mode="json"),
        "created_at": time_json(job.created_at),
        "started_at": time_json(job.started_at),
        "finished_at": time_json(job.finished_at),
        "unpacking": progress.unpacking,
        "counts": {str(state): count for state, count in progress.counts.by_state.items()},
        "total": progress.counts.total,
        "warned": progress.counts.warned,
        "rate_per_s": None if progress.rate is None else round(progress.rate, 3),
        "eta_s": None if progress.eta_s is None else round(progress.eta_s, 1),
        "links": {
            "self": url_for("jobs.show", job_id=job.id),
            "photos": url_for("photos.index", job_id=job.id),
            "results": url_for("results.archive", job_id=job.id),
            "cancel": url_for("jobs.cancel", job_id=job.id),
            "page": url_for("pages.job", job_id=job.id),
        },
    }


def jobs_json(session: Session, listed: Sequence[Job]) -> list[Json]:
    """Several jobs; those that are over or have not begun are counted together."""
    counts = jobs.count_photos(session, [job.id for job in listed if job.state != JobState.RUNNING])
    serialized = []
    for job in listed:
        if job.id in counts:
            unpacking = job.ingested_at is None and job.state not in FINAL_JOB_STATES | {JobState.CANCELING}
            progress = JobProgress(counts[job.id], unpacking)
        else:
            progress = jobs.measure_progress(session, job)
        serialized.append(job_json(job, progress))
    return serialized


def photo_json(photo: Photo, *, approved: bool) -> Json:
    """One photo, with links to what there is of it; `approved` tells whether its result may be trained on."""
    return {
        "id": photo.id,
        "position": photo.position,
        "path": photo.path,
        "state": photo.state,
        "code": photo.code,
        "message": photo.message,
        "width": photo.width,
        "height": photo.height,
        "bit_depth": photo.bit_depth,
        "size_bytes": photo.size_bytes,
        "sha256": photo.sha256,
        "result_path": photo.result_path,
        "result_size_bytes": photo.result_size_bytes,
        "result_sha256": photo.result_sha256,
        "result_media_type": photo.result_media_type,
        "model_version": photo.model_version,
        "runtime": photo.runtime,
        "seconds": photo.seconds,
        "warning": photo.warning,
        "losses": photo.losses,
        "lightness_error_mean": photo.lightness_error_mean,
        "lightness_error_max": photo.lightness_error_max,
        "mean_chroma": photo.mean_chroma,
        "finished_at": time_json(photo.finished_at),
        "approved": approved,
        "links": _photo_links(photo),
    }


def photos_json(session: Session, photos: Sequence[Photo]) -> list[Json]:
    """Several photos."""
    approved = training_material.approved(session, [photo.id for photo in photos])
    return [photo_json(photo, approved=photo.id in approved) for photo in photos]


def key_json(key: ApiKey) -> Json:
    """One API key, without anything that would open a door."""
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "created_at": time_json(key.created_at),
        "last_used_at": time_json(key.last_used_at),
        "revoked_at": time_json(key.revoked_at),
    }


def _photo_links(photo: Photo) -> dict[str, str | None]:
    def link(endpoint: str, there: bool, **query: Any) -> str | None:
        return url_for(endpoint, job_id=photo.job_id, photo_id=photo.id, **query) if there else None

    done = photo.state == PhotoState.DONE
    return {
        "original": link("results.original", bool(photo.original_key)),
        "result": link("results.result", done),
        "preview": link("results.preview", done, of="result", size="preview"),
        "preview_original": link("results.preview", done, of="original", size="preview"),
        "thumbnail": link("results.preview", done, of="result", size="thumbnail"),
        "thumbnail_original": link("results.preview", done, of="original", size="thumbnail"),
        "approval": link("approvals.approve", done),
    }


def time_json(moment: datetime | None) -> str | None:
    """A time in ISO 8601, if there is one."""
    return None if moment is None else moment.isoformat()
