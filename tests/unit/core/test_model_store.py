import hashlib
import io
import json
import threading

import pytest

from core.checkpoints import PreparedModel, read_metadata, read_weights
from core.errors import CheckpointError, StorageError
from core.model_store import check_stored, fetch_model, provide_model, read_stored, store_model
from core.records import ModelVersion
from core.settings import SOURCE_ROOT
from core.storage import LocalStorage
from shipped import SHIPPED_VERSION

SHIPPED = SOURCE_ROOT / "models"


def version_of(weights, version="v1"):
    """A version with these bytes for weights; nothing here looks into them."""
    sha256 = hashlib.sha256(weights).hexdigest()
    metadata = read_metadata(SHIPPED).model_copy(update={"version": version, "sha256": sha256})
    return PreparedModel(metadata, weights, card="# A card\n")


PREPARED = version_of(b"weights" * 1000)
SHA256 = PREPARED.metadata.sha256


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def storage(root):
    return LocalStorage(root)


@pytest.fixture
def copies(tmp_path):
    """Where this machine keeps its copies."""
    return tmp_path / "models"


def code_of(call, *arguments):
    with pytest.raises(CheckpointError) as caught:
        call(*arguments)
    return caught.value.code


def flip(path):
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_a_stored_version_is_read_back_as_it_was(storage):
    key = store_model(storage, PREPARED)
    assert key == "models/v1"
    assert sorted(storage.list("models/v1/")) == [
        f"{key}/{name}" for name in sorted(("README.md", "model.json", "model.safetensors"))
    ]
    assert read_stored(storage, key, SHA256) == PREPARED


def test_a_card_that_is_given_takes_the_place_of_the_one_that_came_along(storage):
    assert read_stored(storage, store_model(storage, PREPARED, "# Other"), SHA256).card == "# Other"


def test_storing_again_changes_nothing(storage, root):
    store_model(storage, PREPARED)
    before = (root / "models/v1/model.safetensors").stat().st_mtime_ns
    assert store_model(storage, PREPARED) == "models/v1"
    assert (root / "models/v1/model.safetensors").stat().st_mtime_ns == before


def test_a_stored_version_never_changes_its_weights(storage):
    key = store_model(storage, PREPARED)
    assert code_of(store_model, storage, version_of(b"others")) == "version_reused"
    assert read_stored(storage, key, SHA256) == PREPARED


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_storing_again_completes_what_was_interrupted_or_damaged(storage, root, name):
    key = store_model(storage, PREPARED)
    (root / key / name).unlink()
    assert code_of(read_stored, storage, key, SHA256) == "model_version_missing"
    store_model(storage, PREPARED)
    (root / key / name).write_bytes(b"{")
    assert code_of(read_stored, storage, key, SHA256) in ("damaged_weights", "bad_metadata")
    store_model(storage, PREPARED)
    assert read_stored(storage, key, SHA256) == PREPARED


def test_a_version_reaches_a_machine_that_does_not_have_it(storage, copies):
    folder = fetch_model(storage, store_model(storage, PREPARED), SHA256, copies)
    assert folder == copies / "v1"
    assert read_weights(folder, read_metadata(folder)) == PREPARED.weights
    assert names(copies) == ["v1"]


def test_a_copy_that_is_whole_is_used_without_the_storage(storage, root, copies):
    key = store_model(storage, PREPARED)
    folder = fetch_model(storage, key, SHA256, copies)
    (root / key / "model.json").unlink()
    assert fetch_model(storage, key, SHA256, copies) == folder


def test_a_flipped_bit_in_the_storage_is_refused_and_leaves_nothing_behind(storage, root, copies):
    key = store_model(storage, PREPARED)
    flip(root / key / "model.safetensors")
    assert code_of(fetch_model, storage, key, SHA256, copies) == "damaged_weights"
    assert names(copies) == []


def test_all_who_find_a_damaged_copy_at_once_get_a_whole_one(storage, copies):
    prepared = version_of(bytes(4_000_000))
    arguments = (storage, store_model(storage, prepared), prepared.metadata.sha256, copies)
    folder = fetch_model(*arguments)
    together, whole = threading.Barrier(8, timeout=30), []

    def fetch():
        together.wait()
        fetched = fetch_model(*arguments)
        whole.append(read_weights(fetched, read_metadata(fetched)) == prepared.weights)

    for _ in range(5):
        flip(folder / "model.safetensors")
        threads = [threading.Thread(target=fetch) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert whole == [True] * 40


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_damaged_copy_is_fetched_anew(storage, copies, name):
    key = store_model(storage, PREPARED)
    folder = fetch_model(storage, key, SHA256, copies)
    flip(folder / name)
    assert fetch_model(storage, key, SHA256, copies) == folder
    assert read_weights(folder, read_metadata(folder)) == PREPARED.weights
    assert names(copies) == ["v1"]


def test_a_copy_of_other_weights_under_the_same_name_is_not_used(storage, copies):
    version_of(b"others").store(copies)
    folder = fetch_model(storage, store_model(storage, PREPARED), SHA256, copies)
    assert read_weights(folder, read_metadata(folder)) == PREPARED.weights


def test_a_copy_and_a_storage_that_are_both_damaged_are_refused(storage, root, copies):
    key = store_model(storage, PREPARED)
    folder = fetch_model(storage, key, SHA256, copies)
    for path in (folder, root / key):
        flip(path / "model.safetensors")
    assert code_of(fetch_model, storage, key, SHA256, copies) == "damaged_weights"


def test_other_weights_that_are_whole_in_themselves_are_refused_by_the_registrys_hash(storage, root, copies):
    key = store_model(storage, PREPARED)
    other = version_of(b"others")
    (root / key / "model.safetensors").write_bytes(other.weights)
    (root / key / "model.json").write_bytes(other.metadata_json())
    assert code_of(fetch_model, storage, key, SHA256, copies) == "damaged_weights"


def test_metadata_that_tell_of_other_weights_are_refused(storage, copies):
    key = store_model(storage, PREPARED)
    storage.put(f"{key}/model.json", io.BytesIO(version_of(b"others").metadata_json()))
    assert code_of(fetch_model, storage, key, SHA256, copies) == "damaged_weights"
    assert names(copies) == []


def test_a_version_that_calls_itself_otherwise_is_refused(storage, copies):
    store_model(storage, PREPARED)
    renamed = {**json.loads(PREPARED.metadata_json()), "version": "../v2"}
    storage.put("models/v1/model.json", io.BytesIO(json.dumps(renamed).encode()))
    assert code_of(fetch_model, storage, "models/v1", SHA256, copies) == "bad_metadata"
    renamed["version"] = "v2"
    storage.put("models/v1/model.json", io.BytesIO(json.dumps(renamed).encode()))
    assert code_of(fetch_model, storage, "models/v1", SHA256, copies) == "damaged_weights"


def test_a_machine_that_cannot_keep_a_copy_is_told_as_a_passing_trouble(storage, copies):
    key = store_model(storage, PREPARED)
    copies.write_text("a file where the folder should be")
    with pytest.raises(StorageError) as caught:
        fetch_model(storage, key, SHA256, copies)
    assert caught.value.code == "storage_failed"


def test_a_version_is_provided_from_wherever_it_is(storage, copies):
    shipped = read_metadata(SHIPPED)
    came_along = ModelVersion(version=shipped.version, name="net", sha256=shipped.sha256, key="")
    assert provide_model(storage, came_along, SHIPPED, copies) == SHIPPED
    stored = ModelVersion(version="v1", name="net", sha256=SHA256, key=store_model(storage, PREPARED))
    assert provide_model(storage, stored, SHIPPED, copies) == copies / "v1"
    before_the_storage = version_of(b"older", "v2")
    before_the_storage.store(copies)
    kept = ModelVersion(version="v2", name="net", sha256=before_the_storage.metadata.sha256, key="")
    assert provide_model(storage, kept, SHIPPED, copies) == copies / "v2"
    kept.sha256 = SHA256
    assert code_of(provide_model, storage, kept, SHIPPED, copies) == "damaged_weights"


def test_whether_the_storage_has_a_version_is_told_before_it_is_used(storage, root):
    stored = ModelVersion(version="v1", name="net", sha256=SHA256, key=store_model(storage, PREPARED))
    folders = (SHIPPED, root / "copies")
    check_stored(storage, stored, *folders)
    shipped, earlier = (
        ModelVersion(version=version, name="net", sha256=SHA256, key="") for version in (SHIPPED_VERSION, "v-earlier")
    )
    check_stored(storage, shipped, *folders)
    assert code_of(check_stored, storage, earlier, *folders) == "model_version_missing"
    flip(root / "models/v1/model.safetensors")
    assert code_of(check_stored, storage, stored, *folders) == "damaged_weights"
