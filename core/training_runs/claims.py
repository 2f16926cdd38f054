"""A run in a worker's hands: claimed under a lease with an epoch, noted as it goes, and let go with an outcome.

Whatever is written is written only where the run's epoch still is the claim's: a worker that lost its lease and comes
back late changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from core.records import RunState, TrainingPoint, TrainingRun, TrainingSample, Verdict, utc_now
from core.training_material import lock_training
from core.training_runs.lifecycle import end_run, lock_open_runs


@dataclass(frozen=True)
class RunClaim:
    """The right to work on one run; void as soon as somebody else claimed a higher epoch."""

    run_id: str
    epoch: int
    config: Mapping[str, Any]
    parent: str


def claim_run(session: Session, run_id: str, owner: str, lease_s: float) -> RunClaim | None:
    """Take a run, or go on with one whose worker fell.

    None when it is over or in other hands, when another run is, or when an older one has to come first.
    """
    lock_training(session)
    opened = lock_open_runs(session)
    now = utc_now()
    if any(run.lease_until is not None and run.lease_until > now for run in opened):
        return None
    if not opened or opened[0].id != run_id or opened[0].state == RunState.CANCELING:
        return None
    run = opened[0]
    run.state = RunState.RUNNING
    run.started_at = run.started_at or now
    run.lease_owner, run.lease_until = owner, now + timedelta(seconds=lease_s)
    run.epoch += 1
    return RunClaim(run.id, run.epoch, run.config, run.parent)


def renew_run(session: Session, claim: RunClaim, lease_s: float) -> RunState | None:
    """Prolong the lease, and tell whether the run goes on or is to be canceled; None when the claim is void."""
    run = held_run(session, claim)
    if run is None:
        return None
    run.lease_until = utc_now() + timedelta(seconds=lease_s)
    return RunState(run.state)


def release_run(session: Session, claim: RunClaim) -> None:
    """Let go unharmed, e.g. when the stack stops; the sweeper sends the hint again."""
    run = held_run(session, claim)
    if run is None:
        return
    run.lease_owner, run.lease_until = "", None
    if run.state == RunState.CANCELING:
        end_run(run, RunState.CANCELED)
    else:
        run.state, run.sent_at = RunState.QUEUED, utc_now()


def set_phase(session: Session, claim: RunClaim, phase: str) -> bool:
    """Tell people what the run is at: preparing, training or comparing. False when the claim is void."""
    run = held_run(session, claim)
    if run is not None:
        run.phase = phase
    return run is not None


def note_progress(session: Session, claim: RunClaim, step: int, steps_total: int) -> bool:
    """Note how far the run has come. False when the claim is void.

    Steps that are done again after a death are not counted back. Going further than ever makes the deaths before
    count no more.
    """
    run = held_run(session, claim)
    if run is None:
        return False
    run.steps_total = steps_total
    if step > run.step:
        run.step, run.deaths = step, 0
    return True


def note_point(session: Session, claim: RunClaim, step: int, measured: Mapping[str, Any]) -> bool:
    """Keep what was measured at a step. False when the claim is void."""
    if held_run(session, claim) is None:
        return False
    session.merge(TrainingPoint(run_id=claim.run_id, step=step, measured=dict(measured), created_at=utc_now()))
    return True


def note_sample(session: Session, claim: RunClaim, step: int, number: int, kind: str, key: str) -> bool:
    """Keep where a picture is stored. False when the claim is void."""
    if held_run(session, claim) is None:
        return False
    session.merge(TrainingSample(run_id=claim.run_id, step=step, number=number, kind=kind, key=key))
    return True


def finish_run(
    session: Session,
    claim: RunClaim,
    *,
    verdict: Verdict,
    reason: str,
    candidate: str,
    result: Mapping[str, Any],
) -> bool:
    """Complete the run. False when the claim is void or the run is to be canceled; then nothing of it may stand.

    Args:
        session: a writing one; the candidate's registration and promotion belong into the same transaction.
        claim: of the run.
        verdict: what the comparison led to.
        reason: the same in a sentence.
        candidate: the version that came out.
        result: the comparison in full.
    """
    run = held_run(session, claim)
    if run is None or run.state != RunState.RUNNING:
        return False
    run.verdict, run.verdict_reason, run.candidate, run.result = verdict, reason, candidate, dict(result)
    end_run(run, RunState.COMPLETED)
    return True


def fail_run(session: Session, claim: RunClaim, code: str, message: str) -> bool:
    """End the run as failed, or as canceled if that was wished. False when the claim is void."""
    run = held_run(session, claim)
    if run is None:
        return False
    if run.state == RunState.CANCELING:
        end_run(run, RunState.CANCELED)
    else:
        end_run(run, RunState.FAILED, code, message)
    return True


def held_run(session: Session, claim: RunClaim) -> TrainingRun | None:
    """The claim's run, locked; None when the claim is void."""
    # The snapshot names every photograph, and is not what is asked for every few seconds.
    mine = select(TrainingRun).where(TrainingRun.id == claim.run_id).options(defer(TrainingRun.snapshot))
    run = session.scalar(mine.with_for_update())
    if run is None or run.epoch != claim.epoch or run.lease_until is None:
        return None
    return run
