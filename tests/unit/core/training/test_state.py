import pytest
import torch

from core.errors import CheckpointError
from core.training.front import Checkpoint
from core.training.state import RunFolder, RunState, is_begun
from watching import small_config

PHOTOS, PARENT, VALIDATION = "1" * 64, "2" * 64, "4" * 64


def folder_of(path, config=None, photos=PHOTOS, parent=PARENT, validation=VALIDATION):
    return RunFolder(path, config or small_config(), photos, parent, validation)


def state_of(step, front=()):
    learner = {"weights": {"a": torch.arange(3.0)}, "part_size": 2, "classifier": None}
    return RunState(step, 2, learner, {"de00": 11.0}, {"de00": 11.5}, list(front))


def test_nothing_is_there_at_first(tmp_path):
    assert folder_of(tmp_path / "run").load() is None


def test_what_was_saved_last_comes_back(tmp_path):
    front = [Checkpoint(2, {"de00": 10.0, "dcf": 3.0})]
    folder_of(tmp_path).save(state_of(1))
    folder_of(tmp_path).save(state_of(4, front))
    loaded = folder_of(tmp_path).load()
    assert (loaded.step, loaded.threads, loaded.front) == (4, 2, front)
    assert (loaded.parent_scores, loaded.gray_scores) == ({"de00": 11.0}, {"de00": 11.5})
    assert torch.equal(loaded.learner["weights"]["a"], torch.arange(3.0))
    assert torch.equal(loaded.random, torch.get_rng_state())


def test_a_state_that_was_written_half_changes_nothing(tmp_path):
    folder_of(tmp_path).save(state_of(3))
    whole = (tmp_path / "state.pt").read_bytes()
    (tmp_path / "state.pt.new").write_bytes(whole[: len(whole) // 2])
    assert folder_of(tmp_path).load().step == 3


def test_a_damaged_state_is_refused(tmp_path):
    folder_of(tmp_path).save(state_of(3))
    whole = (tmp_path / "state.pt").read_bytes()
    for damaged in (b"", b"nonsense", whole[: len(whole) // 2]):
        (tmp_path / "state.pt").write_bytes(damaged)
        with pytest.raises(CheckpointError) as caught:
            folder_of(tmp_path).load()
        assert caught.value.code == "damaged_state"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"config": small_config(seed=1)}, "other_config"),
        ({"photos": "3" * 64}, "other_photographs"),
        ({"parent": ""}, "other_parent"),
        ({"validation": "5" * 64}, "other_validation"),
    ],
)
def test_the_state_of_another_run_is_refused(tmp_path, changes, code):
    folder_of(tmp_path).save(state_of(3))
    with pytest.raises(CheckpointError) as caught:
        folder_of(tmp_path, **changes).load()
    assert caught.value.code == code


def test_whether_a_run_has_begun_is_told_before_its_photographs_are_known(tmp_path):
    assert not is_begun(tmp_path / "run", small_config(), PARENT)
    assert not (tmp_path / "run").exists()
    folder_of(tmp_path / "run").save(state_of(3))
    assert is_begun(tmp_path / "run", small_config(), PARENT)
    for config, parent, code in ((small_config(seed=1), PARENT, "other_config"), (small_config(), "", "other_parent")):
        with pytest.raises(CheckpointError) as caught:
            is_begun(tmp_path / "run", config, parent)
        assert caught.value.code == code


def test_weights_are_kept_until_a_state_no_longer_names_them(tmp_path):
    folder = folder_of(tmp_path)
    for step in (1, 2, 3):
        folder.put_weights(step, bytes([step]))
    folder.save(state_of(3, [Checkpoint(1, {}), Checkpoint(3, {})]))
    assert (folder.weights(1), folder.weights(3)) == (b"\1", b"\3")
    with pytest.raises(FileNotFoundError):
        folder.weights(2)
