"""The one row that training is serialized by: who holds it takes in material, starts runs or claims one, alone."""

from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.database import for_update
from core.records import SCHEDULE_ID, TrainingSchedule

FIRST_CRON = "0 3 * * 0"
FIRST_RECIPE = "fine-tune"
FIRST_MIN_NEW_PHOTOS = 100


def first_schedule() -> TrainingSchedule:
    """What holds before an admin has set anything: no run starts by itself."""
    return TrainingSchedule(
        id=SCHEDULE_ID,
        enabled=False,
        cron=FIRST_CRON,
        min_new_photos=FIRST_MIN_NEW_PHOTOS,
        auto_promote=False,
        config={"recipe": FIRST_RECIPE, "options": {}},
        updated_by="",
    )


def lock_training(session: Session) -> TrainingSchedule:
    """The schedule's row, locked until the transaction ends; made if it is not there yet."""
    locked = for_update(select(TrainingSchedule).where(TrainingSchedule.id == SCHEDULE_ID))
    found = session.scalar(locked)
    if found is None:
        with suppress(IntegrityError), session.begin_nested():
            session.add(first_schedule())
        found = session.scalars(locked).one()
    return found
