import io
import os
import shutil
import subprocess
import time
import tracemalloc
import unicodedata
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.archives import path_key, stream_zip, taken_keys, unique_result_path, walk
from core.errors import StorageError

NAMES = st.sampled_from(
    [
        "a.jpg",
        "A.JPG",
        "a (2).jpg",
        "a (3).jpg",
        "é.jpg",
        "e\u0301.jpg",
        "É.jpg",
        "ß",
        "SS",
        ".a",
        "a.",
        "..a",
        "a",
        "a\\a.jpg",
    ]
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


def named(*wanted):
    taken = taken_keys([])
    return [unique_result_path(path, taken) for path in wanted]


def test_a_path_that_nobody_took_is_kept():
    paths = ["b/写真.tif", "a.png", "b/A.tif", "a/b.tif"]
    assert named(*paths) == paths


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["a.jpg", "a.jpg", "a.jpg"], ["a.jpg", "a (2).jpg", "a (3).jpg"]),
        (["a.jpg", "A.JPG"], ["a.jpg", "A (2).JPG"]),
        (["é.jpg", "e\u0301.jpg"], ["é.jpg", "e\u0301 (2).jpg"]),
        (["a.jpg", "a (2).jpg", "a.jpg"], ["a.jpg", "a (2).jpg", "a (3).jpg"]),
        (["straße.jpg", "STRASSE.jpg"], ["straße.jpg", "STRASSE (2).jpg"]),
        (["a", "a"], ["a", "a (2)"]),
        ([".jpg", ".jpg"], [".jpg", ".jpg (2)"]),
        (["d.d/a", "d.d/a"], ["d.d/a", "d.d/a (2)"]),
        (["a.jpg", "a.jpg/b.jpg", "a.jpg/c.jpg"], ["a.jpg", "a.jpg (2)/b.jpg", "a.jpg (2)/c.jpg"]),
        (["a.jpg/b.jpg", "A.jpg"], ["a.jpg/b.jpg", "A (2).jpg"]),
        (["a/b", "a/b/c/d", "A/B/c"], ["a/b", "a/b (2)/c/d", "A/B (2)/c (2)"]),
        (["a/b.jpg", "a\\b.jpg"], ["a/b.jpg", "a\\b (2).jpg"]),
        (["manifest.csv", "Manifest.JSONL"], ["manifest (2).csv", "Manifest (2).JSONL"]),
    ],
)
def test_a_collision_gets_a_number(wanted, expected):
    assert named(*wanted) == expected


@given(st.lists(PATHS, max_size=40))
@settings(deadline=None)
def test_no_two_results_share_a_path_nor_is_one_the_folder_of_another(wanted):
    files = [path_key(path) for path in named(*wanted)]
    folders = {key[:at] for key in files for at, character in enumerate(key) if character == "/"}
    assert len(set(files)) == len(wanted)
    assert folders.isdisjoint(files)


@given(st.lists(PATHS, max_size=30), st.integers(0, 30))
@settings(deadline=None)
def test_what_the_database_holds_is_enough_to_go_on(wanted, crash):
    whole = named(*wanted)
    taken = taken_keys(whole[:crash])
    assert [unique_result_path(path, taken) for path in wanted[crash:]] == whole[crash:]


@given(st.text())
@settings(deadline=None)
def test_the_key_of_a_path_is_the_same_in_every_case_and_unicode_form(path):
    for form in ("NFC", "NFD"):
        assert path_key(unicodedata.normalize(form, path)) == path_key(path)
    assert path_key(path_key(path)) == path_key(path)


def test_many_equal_names_cost_little():
    started = time.perf_counter()
    taken = taken_keys([])
    assert len({unique_result_path("same/scan.jpg", taken) for _ in range(20_000)}) == 20_000
    assert time.perf_counter() - started < 20


def rows():
    yield {"path": "a.jpg", "state": "done"}


def entry(path, content, size=None):
    return path, size, lambda: io.BytesIO(content)


def test_the_results_and_then_the_manifests_are_in_the_zip():
    noise = os.urandom(700_000)
    sent = b"".join(stream_zip([entry("b/写真.tif", noise, len(noise)), entry("a.jpg", b"")], rows))
    with zipfile.ZipFile(io.BytesIO(sent)) as archive:
        assert archive.namelist() == ["b/写真.tif", "a.jpg", "manifest.csv", "manifest.jsonl"]
        assert archive.testzip() is None
        assert archive.read("b/写真.tif") == noise
        assert b"a.jpg,done" in archive.read("manifest.csv")
        assert archive.read("manifest.jsonl").startswith(b'{"path": "a.jpg", "state": "done"')
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.infolist()[0].flag_bits & 0x800


def test_what_is_sent_can_be_walked_again(limits):
    sent = b"".join(stream_zip([entry("é\\ü.jpg", b"1"), entry("写真/b.jpg", b"2")], rows))
    assert [member.path for member in walk(io.BytesIO(sent), "r.zip", limits)][:2] == ["é\\ü.jpg", "写真/b.jpg"]


@pytest.mark.skipif(shutil.which("unzip") is None, reason="the unzip program is not installed")
def test_the_unzip_program_takes_the_zip(tmp_path):
    sent = b"".join(stream_zip([entry(f"Übung/{n}.jpg", b"x" * n, n if n % 2 else None) for n in range(300)], rows))
    (tmp_path / "results.zip").write_bytes(sent)
    tested = subprocess.run(["unzip", "-t", "results.zip"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "No errors detected" in tested.stdout


def test_no_results_make_a_zip_of_the_manifests():
    with zipfile.ZipFile(io.BytesIO(b"".join(stream_zip([], rows)))) as archive:
        assert archive.namelist() == ["manifest.csv", "manifest.jsonl"]


def test_nothing_is_opened_before_its_turn_and_everything_is_closed():
    opened = []

    def entries():
        for number in range(5):
            yield f"{number}.jpg", None, lambda: opened.append(io.BytesIO(b"x" * 1000)) or opened[-1]

    most = 0
    for _ in stream_zip(entries(), rows):
        most = max(most, sum(not file.closed for file in opened))
    assert len(opened) == 5
    assert most == 1
    assert all(file.closed for file in opened)


def test_rows_are_asked_for_after_the_last_file():
    order = []

    def entries():
        yield entry("a.jpg", b"a")
        order.append("files end")

    def late_rows():
        order.append("rows")
        return []

    b"".join(stream_zip(entries(), late_rows))
    assert order == ["files end", "rows", "rows"]


def test_a_receiver_that_hangs_up_leaves_no_file_open():
    files = []
    sending = stream_zip([("a.jpg", None, lambda: files.append(io.BytesIO(bytes(10_000_000))) or files[-1])], rows)
    while not files:
        next(sending)
    assert not files[0].closed
    sending.close()
    assert files[0].closed


def gone():
    raise StorageError("missing", "b.jpg is gone")


@pytest.mark.parametrize(
    "broken",
    [("b.jpg", 5, gone), entry("b.jpg", b"too long", 5), entry("b.jpg", b"bit", 5)],
    ids=["gone", "grown", "shrunk"],
)
def test_a_file_that_is_gone_or_changed_breaks_the_stream_for_all_to_see(broken):
    sent = io.BytesIO()
    with pytest.raises(StorageError):
        sent.writelines(stream_zip([entry("a.jpg", b"a"), broken, entry("c.jpg", b"c")], rows))
    assert b"a.jpg" in sent.getvalue()
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(sent)


def test_memory_stays_small_whatever_is_sent():
    tracemalloc.start()
    try:
        entries = ((f"{n}.jpg", None, lambda: io.BytesIO(bytes(1_000_000))) for n in range(64))
        total = sum(map(len, stream_zip(entries, rows)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total > 64_000_000
    assert peak < 4_000_000
