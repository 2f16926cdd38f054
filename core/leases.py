"""Named leases: what several may want to do, and one at a time does."""

from datetime import timedelta

from sqlalchemy import or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.records import Lease, utc_now


def take_lease(session: Session, name: str, owner: str, duration_s: float) -> bool:
    """Take the lease, or prolong one's own. False while somebody else has it; one that ran out is anybody's."""
    now = utc_now()
    values = {"owner": owner, "until": now + timedelta(seconds=duration_s)}
    mine_or_over = or_(Lease.owner == owner, Lease.until < now)
    taken = update(Lease).where(Lease.name == name, mine_or_over).values(**values).returning(Lease.name)
    if session.scalar(taken) is not None:
        return True
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    first = insert(Lease).values(name=name, **values).on_conflict_do_nothing().returning(Lease.name)
    return session.scalar(first) is not None
