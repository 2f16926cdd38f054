"""Which state may follow which, for jobs and for photos. The one place where they change, and every change is noted.

receiving -> queued -> running -> completed | completed_with_errors | failed
               |  ^      |  ^            (either of the first two, and failed, may be retried: -> running)
               v  |      v  |
                paused -----+    queued, running, paused -> canceling -> canceled
completed, completed_with_errors, failed, canceled -> expired

pending -> running -> done | failed | skipped | canceled;  running -> pending;  pending -> canceled;  failed -> pending
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, insert, update
from sqlalchemy.orm import Session

from core.errors import StateError
from core.records import FINAL_JOB_STATES, Job, JobEvent, JobState, Photo, PhotoState, utc_now

J, P = JobState, PhotoState

JOB_TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    J.RECEIVING: frozenset({J.QUEUED}),
    J.QUEUED: frozenset({J.RUNNING, J.PAUSED, J.CANCELING, J.FAILED}),
    J.RUNNING: frozenset({J.PAUSED, J.CANCELING, J.COMPLETED, J.COMPLETED_WITH_ERRORS, J.FAILED}),
    J.PAUSED: frozenset({J.QUEUED, J.RUNNING, J.CANCELING, J.FAILED}),
    J.CANCELING: frozenset({J.CANCELED}),
    J.COMPLETED: frozenset({J.EXPIRED}),
    J.COMPLETED_WITH_ERRORS: frozenset({J.RUNNING, J.EXPIRED}),
    J.FAILED: frozenset({J.RUNNING, J.EXPIRED}),
    J.CANCELED: frozenset({J.EXPIRED}),
    J.EXPIRED: frozenset(),
}
PHOTO_TRANSITIONS: Mapping[PhotoState, frozenset[PhotoState]] = {
    P.PENDING: frozenset({P.RUNNING, P.CANCELED}),
    P.RUNNING: frozenset({P.DONE, P.FAILED, P.SKIPPED, P.CANCELED, P.PENDING}),
    P.DONE: frozenset(),
    P.FAILED: frozenset({P.PENDING}),
    P.SKIPPED: frozenset(),
    P.CANCELED: frozenset(),
}
OPEN_PHOTO_STATES = (P.PENDING, P.RUNNING)
SWEEPER = "sweeper"
"""The actor of what nobody in particular does."""


def user_actor(user_id: str) -> str:
    """How a person is named in the log."""
    return f"user:{user_id}"


State = TypeVar("State", JobState, PhotoState)


def begin_job(session: Session, job: Job, actor: str) -> None:
    """Note a job's first state."""
    session.add(job)
    session.flush()
    _note(session, [{"job_id": job.id, "from_state": "", "to_state": job.state, "actor": actor}])


def move_job(session: Session, job: Job, to: JobState, *, code: str = "", message: str = "", actor: str = "") -> None:
    """Bring a job, which must be locked, to another state.

    Raises:
        StateError: `illegal_transition`.
    """
    origin = JobState(job.state)
    _check(JOB_TRANSITIONS, origin, to, "job")
    job.state, job.code, job.message = to, code, message
    if to in FINAL_JOB_STATES and origin not in FINAL_JOB_STATES:
        job.finished_at = utc_now()
    session.flush()
    _note(session, [{"job_id": job.id, "from_state": origin, "to_state": to, "code": code, "actor": actor}])


def move_photos(
    session: Session, which: ColumnElement[bool], origin: PhotoState, to: PhotoState, *, actor: str = "", **values: Any
) -> list[str]:
    """Bring all photos that are in `origin` and meet the condition to another state, and give their ids.

    Args:
        values: further columns that change with it; `finished_at` is set or emptied as the state asks for.

    Raises:
        StateError: `illegal_transition`.
    """
    _check(PHOTO_TRANSITIONS, origin, to, "photo")
    if to not in OPEN_PHOTO_STATES:
        values = {"finished_at": utc_now(), **values}
    elif origin not in OPEN_PHOTO_STATES:
        values = {"finished_at": None, **values}
    if to != PhotoState.RUNNING:
        values = {"lease_owner": "", "lease_until": None, **values}
    moved = session.execute(
        update(Photo)
        .where(which, Photo.state == origin)
        .values(state=to, **values)
        .returning(Photo.id, Photo.job_id, Photo.code)
    ).all()
    change = {"from_state": origin, "to_state": to, "actor": actor}
    _note(session, [{"job_id": job_id, "photo_id": id_, "code": code, **change} for id_, job_id, code in moved])
    return [id_ for id_, _job_id, _code in moved]


def _check(transitions: Mapping[State, frozenset[State]], origin: State, to: State, noun: str) -> None:
    if to not in transitions[origin]:
        raise StateError("illegal_transition", f"A {noun} that is {origin} cannot become {to}.")


def _note(session: Session, events: list[dict[str, Any]]) -> None:
    if events:
        now = utc_now()
        columns = {"photo_id": None, "code": ""}
        session.execute(insert(JobEvent), [{**columns, "at": now, **event} for event in events])
