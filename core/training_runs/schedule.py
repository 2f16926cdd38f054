"""When runs start by themselves."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cronsim import CronSim, CronSimError
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.errors import OptionsError
from core.records import SCHEDULE_ID, RunTrigger, TrainingRun, TrainingSchedule, utc_now
from core.training.config import parse_config
from core.training_material import first_schedule, lock_training, summary
from core.training_runs.lifecycle import OPEN_RUN_STATES, TrainHint, submit_run

CRON_FIELDS = 5
MOST_CRON_CHARACTERS = 100
MOST_NEW_PHOTOS = 1_000_000

log = logging.getLogger(__name__)


def next_moment(cron: str, after: datetime) -> datetime:
    """The first moment after another that a cron line of five fields names, in UTC.

    Raises:
        OptionsError: bad_cron, also for a line that names no moment at all.
    """
    if len(cron) > MOST_CRON_CHARACTERS or len(cron.split()) != CRON_FIELDS:
        raise OptionsError("bad_cron", f"A cron line has {CRON_FIELDS} fields: minute, hour, day, month, day of week.")
    try:
        return next(CronSim(cron, after.astimezone(UTC)))
    except CronSimError as error:
        raise OptionsError("bad_cron", f"{cron!r} is no cron line: {error}.") from error
    except StopIteration as error:
        raise OptionsError("bad_cron", f"{cron!r} names no moment that ever comes.") from error


def get_schedule(session: Session) -> TrainingSchedule:
    """The schedule as it stands; the one that holds before an admin has set any is not in the database yet.

    Its `config` holds `recipe` and `options`, as parse_config takes them.
    """
    return session.get(TrainingSchedule, SCHEDULE_ID) or first_schedule()


def set_schedule(
    session: Session,
    *,
    enabled: bool,
    cron: str,
    min_new_photos: int,
    auto_promote: bool,
    recipe: str,
    options: Mapping[str, Any],
    actor: str,
) -> TrainingSchedule:
    """Change the schedule.

    Args:
        session: a writing one.
        enabled: whether runs start by themselves.
        cron: when, in UTC.
        min_new_photos: how much new material to train on there must be.
        auto_promote: whether a model that is found better is promoted at once, whatever started its run.
        recipe: of the runs, as parse_config takes it.
        options: changes to the recipe.
        actor: the name of the person who changes it.

    Raises:
        OptionsError: bad_cron, bad_min_new_photos, bad_training_option.
    """
    next_at = next_moment(cron, utc_now())
    if not 1 <= min_new_photos <= MOST_NEW_PHOTOS:
        raise OptionsError("bad_min_new_photos", f"min_new_photos must be a whole number from 1 to {MOST_NEW_PHOTOS}.")
    parse_config(recipe, options)
    schedule = lock_training(session)
    schedule.enabled, schedule.cron, schedule.min_new_photos = enabled, " ".join(cron.split()), min_new_photos
    schedule.auto_promote = auto_promote
    schedule.config = {"recipe": recipe, "options": dict(options)}
    schedule.next_at = next_at if enabled else None
    schedule.updated_by = actor
    session.flush()
    return schedule


def start_due(session: Session, now: datetime) -> list[TrainHint]:
    """Start the run that is due. However many schedulers call this at once, one of them starts it.

    A moment that went by while nothing ran is made up for, once. With too little new material, or while a run by
    schedule is not over, nothing starts, and the next moment is waited for.
    """
    due = session.scalar(select(TrainingSchedule).where(TrainingSchedule.enabled, TrainingSchedule.next_at <= now))
    if due is None or not _move_on(session, due, now):
        return []
    if _is_open_by_schedule(session) or summary(session)["new"] < due.min_new_photos:
        return []
    try:
        config = parse_config(due.config["recipe"], due.config["options"])
    except OptionsError as error:
        log.error("the schedule's training options do not hold any more: %s", error.message)  # noqa: TRY400 - no trace
        return []
    run = submit_run(session, trigger=RunTrigger.SCHEDULE, actor="schedule", config=config.model_dump(mode="json"))
    return [TrainHint(run.id)]


def _move_on(session: Session, due: TrainingSchedule, now: datetime) -> bool:
    """Set the next moment; False when somebody else did."""
    moved = session.scalar(
        update(TrainingSchedule)
        .where(TrainingSchedule.id == due.id, TrainingSchedule.enabled, TrainingSchedule.next_at == due.next_at)
        .values(next_at=next_moment(due.cron, now), updated_at=TrainingSchedule.updated_at)
        .returning(TrainingSchedule.id)
        .execution_options(synchronize_session=False)
    )
    return moved is not None


def _is_open_by_schedule(session: Session) -> bool:
    opened = select(TrainingRun.id).where(
        TrainingRun.state.in_(OPEN_RUN_STATES), TrainingRun.trigger == RunTrigger.SCHEDULE
    )
    return session.scalar(opened.limit(1)) is not None
