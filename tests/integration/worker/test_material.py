"""From an upload of training material to its photographs, on real parts without Celery."""

import io
import itertools
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from PIL import Image
from skimage import data
from sqlalchemy import select

from core import training_material as material
from core.errors import StorageError
from core.records import MaterialState, MaterialUpload, TrainingPhoto
from core.training.filtering import judge
from worker import handlers
from worker.handlers import material as reading
from worker.handlers.material import read_material


def jpeg(picture, quality=92):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def colored():
    """Color photographs as JPEG bytes by name."""
    return {name: jpeg(getattr(data, name)()) for name in ("astronaut", "chelsea", "coffee", "rocket")}


@pytest.fixture
def upload(context):
    """Stores an upload and records it."""

    def store_and_record(name, content, upload_id="u"):
        key = f"training/uploads/{upload_id}"
        stored = context.storage.put(key, io.BytesIO(content))
        with context.database.write() as session:
            arguments = {"owner_id": "ada", "name": name, "key": key, "size_bytes": stored.size_bytes}
            material.add_upload(session, upload_id=upload_id, **arguments)

    return store_and_record


@pytest.fixture
def read(context):
    """What became of an upload: its row and its files' rows."""

    def look(upload_id="u"):
        with context.database.read() as session:
            rows = session.scalars(select(TrainingPhoto).where(TrainingPhoto.upload_id == upload_id)).all()
            return session.get_one(MaterialUpload, upload_id), {row.path: row for row in rows}

    return look


def stored(context):
    return set(context.storage.list("training/"))


def test_every_file_gets_its_row_and_only_usable_photographs_are_kept(context, upload, read, colored, make_zip):
    astronaut = data.astronaut()
    contents = {
        "a/astronaut.jpg": colored["astronaut"],
        "a/coffee.jpg": colored["coffee"],
        "again.jpg": colored["coffee"],
        "saved again.jpg": jpeg(data.coffee(), quality=70),
        "gray.jpg": jpeg(data.camera()),
        "small.jpg": jpeg(astronaut[:64, :64]),
        "torn.jpg": colored["rocket"][:3000],
        "text.jpg": b"this is no photograph",
        "notes.txt": b"box 7, 1923",
        "__MACOSX/._a.jpg": b"\0\5\x16\7",
    }
    upload("box.zip", make_zip(contents))

    read_material(context, "u")

    row, files = read()
    assert row.state == MaterialState.READY
    assert {path: file.code for path, file in files.items()} == {
        "a/astronaut.jpg": "",
        "a/coffee.jpg": "",
        "again.jpg": "duplicate",
        "saved again.jpg": "duplicate",
        "gray.jpg": "gray",
        "small.jpg": "too_small",
        "torn.jpg": "unreadable",
        "text.jpg": "unreadable",
        "notes.txt": "not_an_image",
        "__MACOSX/._a.jpg": "not_an_image",
    }
    assert (files["a/astronaut.jpg"].width, files["a/astronaut.jpg"].height) == (512, 512)
    assert stored(context) == {files["a/astronaut.jpg"].key, files["a/coffee.jpg"].key}, "and not the archive either"
    with context.storage.open(files["a/coffee.jpg"].key) as stream:
        assert stream.read() == colored["coffee"]


def test_a_photograph_can_be_sent_by_itself_and_a_later_twin_is_found_out(context, upload, read, colored):
    upload("rocket.jpg", colored["rocket"])
    read_material(context, "u")
    upload("rocket, saved anew.jpg", jpeg(data.rocket(), quality=80), "v")
    read_material(context, "v")
    assert [file.code for file in read("u")[1].values()] == [""]
    assert [file.code for file in read("v")[1].values()] == ["duplicate"]
    assert (read("v")[0].state, read("v")[0].code) == (MaterialState.FAILED, "no_usable_photographs")


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [("box.zip", b"PK\x03\x04 torn", "broken_archive"), ("empty.zip", b"PK\x05\x06" + bytes(18), "empty_archive")],
)
def test_an_archive_that_gives_nothing_fails_by_its_code(context, upload, read, name, content, code):
    upload(name, content)
    read_material(context, "u")
    assert (read()[0].state, read()[0].code) == (MaterialState.FAILED, code)
    assert name in read()[0].message
    assert stored(context) == set()


def test_reading_goes_on_where_it_was_cut_off(context, upload, read, make_zip, monkeypatch):
    astronaut = data.astronaut()
    contents = {f"{k:02}.jpg": jpeg(astronaut[3 * k : 3 * k + 300, 5 * k : 5 * k + 300]) for k in range(24)}
    upload("box.zip", make_zip(contents))
    put, calls = context.storage.put, itertools.count()

    def breaks_at_the_twentieth(key, stream):
        if next(calls) == 19:
            raise StorageError("storage_failed", "away")
        return put(key, stream)

    monkeypatch.setattr(context.storage, "put", breaks_at_the_twentieth)
    with pytest.raises(StorageError):
        read_material(context, "u")
    row, before = read()
    assert row.state == MaterialState.QUEUED
    assert list(before) == list(contents)[:16]

    read_material(context, "u")

    row, files = read()
    assert row.state == MaterialState.READY
    assert {path: file.id for path, file in files.items() if path in before} == {k: v.id for k, v in before.items()}
    assert sorted(files) == list(contents)
    usable = {file.key for file in files.values() if not file.code}
    assert stored(context) == usable, "what the first worker stored without its row is gone"
    assert Counter(file.code for file in files.values())[""] == len(usable) > 4


def test_a_reader_whose_upload_is_withdrawn_leaves_nothing_behind(
    context, upload, read, colored, make_zip, monkeypatch
):
    upload("box.zip", make_zip({f"{name}.jpg": content for name, content in colored.items()}))
    add = material.add_photos

    def withdrawn_meanwhile(session, claim, *arguments):
        material.withdraw_upload(session, "u")
        return add(session, claim, *arguments)

    monkeypatch.setattr(material, "add_photos", withdrawn_meanwhile)
    read_material(context, "u")
    monkeypatch.undo()
    handlers.sweep(context)

    assert read()[0].state == MaterialState.WITHDRAWN
    assert stored(context) == set()


def test_of_two_copies_read_at_once_that_are_nearly_the_same_one_is_taken(context, upload, read, colored, monkeypatch):
    smaller = Image.fromarray(data.rocket()).resize((403, 268))
    upload("rocket.jpg", colored["rocket"])
    upload("rocket, web size.jpg", jpeg(np.asarray(smaller), quality=60), "v")

    def other_meanwhile(rgb):
        monkeypatch.undo()
        read_material(context, "v")
        return judge(rgb)

    monkeypatch.setattr(reading, "judge", other_meanwhile)
    read_material(context, "u")
    (first,), (second,) = read("v")[1].values(), read("u")[1].values()
    assert first.fingerprint != second.fingerprint
    assert (first.code, second.code) == ("", "duplicate")
    assert stored(context) == {first.key}


@pytest.fixture
def killed(context, upload, colored, make_zip, monkeypatch):
    """An upload whose reader was killed after it had stored photographs, and before it recorded them."""
    upload("box.zip", make_zip({f"{name}.jpg": content for name, content in colored.items()}))

    def dies(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(material, "add_photos", dies)
    with pytest.raises(KeyboardInterrupt):
        read_material(context, "u")
    monkeypatch.undo()
    assert len(stored(context)) == 1 + len(colored)


def test_what_a_killed_reader_left_goes_with_the_upload(context, killed, read):
    with context.database.write() as session:
        material.withdraw_upload(session, "u")
    read_material(context, "u")
    handlers.sweep(context)
    assert stored(context) == set()
    assert read()[0].sent_at is None, "nothing is left to be done"


def test_what_killed_readers_left_of_an_upload_that_failed_for_it_goes(context, killed, read):
    with context.database.write() as session:
        row = session.get_one(MaterialUpload, "u")
        row.lease_until, row.deaths = row.lease_until - timedelta(hours=1), 2
    handlers.sweep(context)
    assert (read()[0].state, read()[0].code) == (MaterialState.FAILED, "worker_died")
    read_material(context, "u")
    assert stored(context) == set()


def test_a_reader_hears_of_a_withdrawal_by_its_heart(context, upload, read, colored, make_zip, monkeypatch):
    upload("box.zip", make_zip({f"{name}.jpg": content for name, content in colored.items()}))
    put, taken = context.storage.put, []

    def slow(key, stream):
        taken.append(key)
        if len(taken) == 1:
            with context.database.write() as session:
                material.withdraw_upload(session, "u")
            time.sleep(0.5)
        return put(key, stream)

    monkeypatch.setattr(context.storage, "put", slow)
    read_material(replace(context, heartbeat_s=0.05), "u")
    assert len(taken) == 1, "it goes no further"
    assert stored(context) == set()


def test_the_sweeper_deletes_what_was_withdrawn(context, upload, read, colored):
    upload("rocket.jpg", colored["rocket"])
    read_material(context, "u")
    assert len(stored(context)) == 1
    with context.database.write() as session:
        material.withdraw_upload(session, "u")
    handlers.sweep(context)
    assert stored(context) == set()
    read_material(context, "u")
    assert read()[0].state == MaterialState.WITHDRAWN


def test_a_lost_hint_is_sent_again_by_the_sweeper(context, upload, colored):
    upload("rocket.jpg", colored["rocket"])
    with context.database.write() as session:
        session.get_one(MaterialUpload, "u").sent_at = None
    handlers.sweep(context)
    assert [vars(hint) for hint in context.hints.sent] == [{"upload_id": "u"}]
