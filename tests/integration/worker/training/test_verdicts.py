"""What becomes of the model that a run has trained."""

import pytest
from PIL import Image

from core import model_store, registry
from core import training_material as material
from core import training_runs as runs
from core.records import ModelSource, RunState, Split, Verdict, utc_now
from shipped import SHIPPED_VERSION
from worker.handlers.comparing import Comparing
from worker.handlers.train import train


def active(context):
    with context.database.read() as session:
        return registry.active_version(session).version


def promote(context, version):
    with context.database.write() as session:
        registry.promote(session, version, "ada")


def set_auto_promotion(context, auto_promote):
    with context.database.write() as session:
        material.lock_training(session).auto_promote = auto_promote


def test_a_worse_candidate_is_rejected_with_its_numbers_and_can_still_be_had(
    context, setup, photographs, yardstick, greenish, submit, look
):
    run_id = submit(parent=greenish)
    train(context, setup, run_id)

    run = look(run_id)
    assert (run.state, run.verdict) == (RunState.COMPLETED, Verdict.REJECTED), (run.code, run.message)
    assert run.verdict_reason
    assert active(context) == SHIPPED_VERSION
    assert run.snapshot["counts"] == {"train": 21, "validation": 1, "frozen": 20, "held_out": 1}
    scores = run.result["scores"]["frozen"]
    assert set(scores) == {"gray", "candidate", "active"}
    assert scores["gray"]["cf"] == 0
    assert scores["gray"]["cf_truth"] == scores["active"]["cf_truth"] > 10
    numbers = {who: row["de00"] for who, row in scores.items()}
    assert numbers["candidate"] > numbers["active"]
    with context.database.read() as session:
        version = registry.get_version(session, run.candidate)
        steps = [point.step for point in runs.points(session, run_id)]
        pictures = {(sample.step, sample.kind): sample.key for sample in runs.samples(session, run_id)}
    assert (version.source, version.parent) == (ModelSource.TRAINED, greenish)
    assert version.metrics["de00"] == pytest.approx(numbers["candidate"])
    model_store.read_stored(context.storage, version.key, version.sha256)
    assert run.step == run.steps_total == steps[-1]
    assert set(pictures) == {(0, "truth"), (0, "gray"), (0, "before"), (run.step, "after")}
    with context.storage.open(pictures[run.step, "after"]) as stream:
        assert Image.open(stream).format == "JPEG"
    assert [path.name for path in setup.training_dir.iterdir()] == ["lock"], "nothing is left on this machine"


@pytest.mark.parametrize(("auto_promote", "verdict"), [(False, Verdict.CANDIDATE), (True, Verdict.PROMOTED)])
def test_a_better_one_is_promoted_or_awaits_an_admin(
    context, setup, photographs, yardstick, greenish, submit, look, auto_promote, verdict
):
    promote(context, greenish)
    set_auto_promotion(context, auto_promote)
    run_id = submit(parent=SHIPPED_VERSION)
    train(context, setup, run_id)

    run = look(run_id)
    assert (run.state, run.verdict) == (RunState.COMPLETED, verdict), (run.code, run.message, run.verdict_reason)
    assert run.result["active"] == greenish
    with context.database.read() as session:
        candidate = registry.aliased(session, "candidate")
        newest = registry.history(session)[0]
    if auto_promote:
        assert (active(context), candidate) == (run.candidate, None)
        assert (newest.actor, newest.reason) == ("ada", run.verdict_reason)
    else:
        assert (active(context), candidate.version) == (greenish, run.candidate)


def test_a_model_that_learned_from_what_was_withdrawn_is_not_promoted_by_itself(
    context, setup, photographs, yardstick, greenish, submit, look, monkeypatch
):
    promote(context, greenish)
    set_auto_promotion(context, True)
    run_id = submit(parent=SHIPPED_VERSION)
    compare = Comparing.compare

    def withdrawn_meanwhile(*arguments):
        with context.database.write() as session:
            material.usable_photos(session, Split.TRAIN)[-1].withdrawn_at = utc_now()
        return compare(*arguments)

    monkeypatch.setattr(Comparing, "compare", withdrawn_meanwhile)
    train(context, setup, run_id)
    run = look(run_id)
    assert (run.state, run.verdict) == (RunState.COMPLETED, Verdict.CANDIDATE), (run.code, run.message)
    assert "withdrawn" in run.verdict_reason
    assert active(context) == greenish
