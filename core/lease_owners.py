"""The names of processes that hold leases, and the end of dead processes' leases, at once instead of when they run out.

A name is host:parent:process:token, with process ids. The token makes it unique, however often an id is given anew.
"""

import os
import secrets
from collections.abc import Collection

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from core import jobs, training_material, training_runs
from core.machine import is_alive, process_space
from core.records import Job, Lease, MaterialUpload, Photo, PhotoState, TrainingRun, utc_now


def own_name() -> str:
    """A new name for this process."""
    return f"{children_of(os.getppid())}{os.getpid()}:{secrets.token_hex(4)}"


def children_of(parent_pid: int) -> str:
    """What the names of a process's children begin with, on this machine."""
    return f"{process_space()}:{parent_pid}:"


def free_leases(session: Session, owner_prefix: str, alive: Collection[str] = ()) -> int:
    """End all leases of owners that are known to be dead; the sweeper takes back what they held.

    Args:
        owner_prefix: what the dead ones' names begin with.
        alive: names that do so too, and whose leases stand.

    Returns:
        How many leases of jobs, photos, runs and uploads were ended.
    """
    is_dead = Lease.owner.startswith(owner_prefix, autoescape=True) & Lease.owner.not_in(alive)
    now = utc_now()
    session.execute(update(Lease).where(is_dead, Lease.until > now).values(until=now))
    return (
        jobs.free_leases(session, owner_prefix, alive)
        + training_runs.free_runs(session, owner_prefix, alive)
        + training_material.free_uploads(session, owner_prefix, alive)
    )


def free_dead_siblings(session: Session) -> int:
    """End the leases of this process's siblings that live no more. For a process that holds no lease yet itself.

    A sibling whose id belongs to a living process again counts as alive; its leases run out by themselves.
    """
    prefix = children_of(os.getppid())
    alive = [owner for owner in _owners(session, prefix) if is_alive(_pid_of(owner))]
    return free_leases(session, prefix, alive)


def _owners(session: Session, prefix: str) -> set[str]:
    in_hand = select(Photo.lease_owner).where(Photo.state == PhotoState.RUNNING, _begins(Photo.lease_owner, prefix))
    others = (Job.ingest_owner, TrainingRun.lease_owner, MaterialUpload.lease_owner, Lease.owner)
    selects = [in_hand, *(select(owner).where(_begins(owner, prefix)) for owner in others)]
    return {owner for found in selects for owner in session.scalars(found.distinct())}


def _begins(owner: InstrumentedAttribute[str], prefix: str) -> ColumnElement[bool]:
    return owner.startswith(prefix, autoescape=True)


def _pid_of(owner: str) -> int:
    return int(owner.split(":")[-2])
