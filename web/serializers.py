"""Records as JSON, for the API and the pages alike."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import url_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from core import jobs, training_material
from core.jobs import JobProgress
from core.records import FINAL_JOB_STATES, ApiKey, Job, JobEvent, JobState, Photo, PhotoState, User
from web.offers import Offers, offers
from web.priorities import priority_name

Json = dict[str, Any]
BY_PERSON = "user:"
SETTLED = FINAL_JOB_STATES | {JobState.CANCELING}
"""Jobs in which no more files will be found."""


def job_json(job: Job, progress: JobProgress, offer: Offers) -> Json:
    """One job, its progress, and what may be done with it."""
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "code": job.code,
        "message": job.message,
        "model_version": job.model_version,
        "options": job.options.model_dump(mode="json"),
        "priority": priority_name(job.priority),
        "paused_by": job.paused_by,
        "created_at": time_json(job.created_at),
        "started_at": time_json(job.started_at),
        "finished_at": time_json(job.finished_at),
        "expires_at": time_json(job.expires_at),
        "unpacking": job.ingested_at is None and job.state not in SETTLED,
        "counts": {str(state): count for state, count in progress.counts.by_state.items()},
        "total": progress.counts.total,
        "warned": progress.counts.warned,
        "rate_per_s": None if progress.rate is None else round(progress.rate, 3),
        "eta_s": _seconds(progress.eta_s),
        "eta_low_s": _seconds(progress.eta_low_s),
        "eta_high_s": _seconds(progress.eta_high_s),
        "links": _job_links(job, offer),
    }


def show_job(session: Session, job: Job) -> Json:
    """One job as it stands now."""
    return job_json(job, jobs.measure_progress(session, job), offers(session, [job])[job.id])


def jobs_json(session: Session, listed: Sequence[Job]) -> list[Json]:
    """Several jobs; those that are over or have not begun are counted together."""
    counts = jobs.count_photos(session, [job.id for job in listed if job.state != JobState.RUNNING])
    offered = offers(session, listed)
    serialized = []
    for job in listed:
        if job.id in counts:
            progress = JobProgress(counts[job.id], unpacking=False)
        else:
            progress = jobs.measure_progress(session, job)
        serialized.append(job_json(job, progress, offered[job.id]))
    return serialized


def events_json(session: Session, events: Sequence[JobEvent]) -> list[Json]:
    """Changes of states, each with the name of the person behind it, if there was one."""
    ids = {event.actor.removeprefix(BY_PERSON) for event in events if event.actor.startswith(BY_PERSON)}
    names = {user.id: user.name for user in session.scalars(select(User).where(User.id.in_(ids)))}
    return [
        {
            "id": event.id,
            "photo_id": event.photo_id,
            "at": time_json(event.at),
            "from_state": event.from_state,
            "to_state": event.to_state,
            "code": event.code,
            "actor": event.actor,
            "person": names.get(event.actor.removeprefix(BY_PERSON)),
        }
        for event in events
    ]


def photo_json(photo: Photo, *, approved: bool, kept: bool = True) -> Json:
    """One photo, with links to what there is of it.

    Args:
        approved: whether its result may be trained on.
        kept: whether its job's bytes are still there.
    """
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
        "links": _photo_links(photo, kept),
    }


def photos_json(session: Session, job: Job, photos: Sequence[Photo]) -> list[Json]:
    """Several photos of a job."""
    kept = job.state != JobState.EXPIRED
    approved = training_material.approved(session, [photo.id for photo in photos])
    return [photo_json(photo, approved=photo.id in approved, kept=kept) for photo in photos]


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


def _job_links(job: Job, offer: Offers) -> dict[str, str | None]:
    def link(endpoint: str, possible: bool) -> str | None:
        return url_for(endpoint, job_id=job.id) if possible else None

    return {
        "self": url_for("jobs.show", job_id=job.id),
        "photos": url_for("photos.index", job_id=job.id),
        "results": url_for("results.archive", job_id=job.id),
        "cancel": url_for("jobs.cancel", job_id=job.id),
        "pause": link("jobs.pause", offer.pause),
        "resume": link("jobs.resume", offer.resume),
        "retry": link("jobs.retry", offer.retry),
        "events": url_for("events.index", job_id=job.id),
        "page": url_for("pages.job", job_id=job.id),
    }


def _photo_links(photo: Photo, kept: bool) -> dict[str, str | None]:
    def link(endpoint: str, there: bool, **query: Any) -> str | None:
        return url_for(endpoint, job_id=photo.job_id, photo_id=photo.id, **query) if there else None

    done = kept and photo.state == PhotoState.DONE
    return {
        "original": link("results.original", kept and bool(photo.original_key)),
        "result": link("results.result", done),
        "preview": link("results.preview", done, of="result", size="preview"),
        "preview_original": link("results.preview", done, of="original", size="preview"),
        "thumbnail": link("results.preview", done, of="result", size="thumbnail"),
        "thumbnail_original": link("results.preview", done, of="original", size="thumbnail"),
        "approval": link("approvals.approve", done),
    }


def _seconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def time_json(moment: datetime | None) -> str | None:
    """A time in ISO 8601, if there is one."""
    return None if moment is None else moment.isoformat()
