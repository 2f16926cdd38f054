"""The main job: an archive of real and awkward files in, an archive of color photographs out."""

import csv
import hashlib
import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.color import rgb2lab

FIELDS = [
    *("path", "state", "code", "message", "result_path", "size_bytes", "result_size_bytes"),
    *("sha256", "result_sha256", "model_version", "seconds", "warning", "losses"),
    *("lightness_error_mean", "lightness_error_max", "mean_chroma", "runtime", "options"),
]
LOSSY = (".jpg", ".jpeg", ".webp", ".avif")


def lightness_of(samples: np.ndarray) -> np.ndarray:
    rgb = np.repeat(samples[..., None], 3, axis=2) if samples.ndim == 2 else samples[..., :3]
    return rgb2lab(rgb)[..., 0]


def read_samples(content: bytes, path: str) -> np.ndarray:
    if path.endswith((".tif", ".tiff")):
        return tifffile.imread(io.BytesIO(content))
    image = Image.open(io.BytesIO(content))
    return np.asarray(image.convert("RGB") if image.mode in ("RGBA", "P") else image)


@pytest.fixture(scope="module")
def job(running_stack, awkward, make_zip):
    """The awkward archive, gone through the running stack: the job, its photos by path, and the result ZIP."""
    with running_stack.client() as client:
        job_id = running_stack.submit(client, "awkward.zip", make_zip(awkward.contents))
        done = running_stack.finished(client, job_id)
        photos = running_stack.photos(client, job_id)
        results = client.get(f"/api/v1/jobs/{job_id}/results.zip").raise_for_status().content
    return done, photos, zipfile.ZipFile(io.BytesIO(results))


def test_every_file_ends_in_the_state_that_it_should(job, awkward):
    _, photos, _ = job
    assert {photo["path"]: (photo["state"], photo["code"]) for photo in photos} == awkward.expected
    assert len(photos) == len(awkward.expected)


def test_the_job_tells_its_counts_and_that_there_were_errors(job, awkward):
    done, _, _ = job
    states = [state for state, _ in awkward.expected.values()]
    assert done["state"] == "completed_with_errors"
    assert {state: n for state, n in done["counts"].items() if n} == {s: states.count(s) for s in set(states)}


def test_what_failed_is_told_by_its_name(job):
    _, photos, _ = job
    for photo in photos:
        assert (photo["path"] in photo["message"]) == (photo["state"] != "done"), photo


def test_every_result_is_in_the_zip_under_a_path_of_its_own(job, awkward):
    _, photos, results = job
    assert results.testzip() is None
    names = [name for name in results.namelist() if not name.startswith("manifest.")]
    wanted = sorted(photo["result_path"] for photo in photos if photo["state"] == "done")
    assert sorted(names) == wanted
    assert len({name.casefold() for name in names}) == len(names)
    assert {"a/a.tif", "a/a.png", "scripts/写真/фото/صورة/תמונה 1.jpg"} <= set(names)


def test_results_keep_size_depth_and_lightness_and_have_color(job, awkward):
    _, photos, results = job
    colorful = 0
    for photo in photos:
        if photo["state"] != "done" or photo["path"] in ("alpha.png", "gray16.png", "cmyk.jpg"):
            continue
        before = read_samples(awkward.contents[photo["path"]], photo["path"])
        after = read_samples(results.read(photo["result_path"]), photo["result_path"])
        assert after.shape[:2] == before.shape[:2]
        assert after.dtype == before.dtype
        difference = np.abs(lightness_of(after) - lightness_of(before))
        assert difference.mean() < (1.0 if photo["path"].lower().endswith(LOSSY) else 0.1), photo["path"]
        colorful += np.ptp(after.astype(int), axis=2).mean() > 0.005 * np.iinfo(after.dtype).max
    assert colorful >= 10


def test_a_rotated_photograph_keeps_its_pixels_and_its_tag(job):
    _, _, results = job
    image = Image.open(io.BytesIO(results.read("rotated.jpg")))
    assert image.size == (450, 300)
    assert image.getexif()[0x0112] == 6


def test_transparency_is_kept(job, awkward):
    _, _, results = job
    before = Image.open(io.BytesIO(awkward.contents["alpha.png"])).getchannel("A")
    after = Image.open(io.BytesIO(results.read("alpha.png"))).getchannel("A")
    assert before.tobytes() == after.tobytes()


def test_the_manifests_say_of_every_file_what_became_of_it(job, awkward):
    _, photos, results = job
    rows = [json.loads(line) for line in results.read("manifest.jsonl").decode().splitlines()]
    table = list(csv.DictReader(io.StringIO(results.read("manifest.csv").decode("utf-8-sig"))))

    assert [row["path"] for row in rows] == [row["path"] for row in table] == [photo["path"] for photo in photos]
    assert list(rows[0]) == list(table[0]) == FIELDS
    for row in rows:
        assert (row["state"], row["code"]) == awkward.expected[row["path"]]
        if row["state"] == "done":
            assert row["sha256"] == hashlib.sha256(awkward.contents[row["path"]]).hexdigest()
            assert row["result_sha256"] == hashlib.sha256(results.read(row["result_path"])).hexdigest()
            assert row["model_version"]
            assert row["seconds"] > 0


def test_a_compressed_tar_with_photographs_comes_out(running_stack, gray_jpegs):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in gray_jpegs.items():
            member = tarfile.TarInfo(f"box 1/{name}.jpg")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("box 1/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with running_stack.client() as client:
        job_id = running_stack.submit(client, "box.tar.gz", buffer.getvalue())
        running_stack.finished(client, job_id)
        states = {photo["path"]: (photo["state"], photo["code"]) for photo in running_stack.photos(client, job_id)}
    assert states.pop("box 1/link.jpg") == ("failed", "link")
    assert states == {f"box 1/{name}.jpg": ("done", "") for name in gray_jpegs}


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.zip", b"PK\5\6" + bytes(18), "empty_archive"),
        ("broken.zip", b"PK\3\4" + b"\x99" * 3000, "broken_archive"),
        ("unknown.rar", b"Rar!\x1a\x07\x01\x00" + bytes(100), "unsupported_archive"),
    ],
)
def test_an_archive_that_gives_nothing_is_a_clear_failure_of_the_job(running_stack, name, content, code):
    with running_stack.client() as client:
        job_id = running_stack.submit(client, name, content)
        job = running_stack.finished(client, job_id)
    assert (job["state"], job["code"]) == ("failed", code)
    assert job["message"]


def test_an_archive_of_text_files_fails_for_want_of_photographs(running_stack, make_zip):
    with running_stack.client() as client:
        job_id = running_stack.submit(client, "texts.zip", make_zip({"a.txt": b"a", "b.txt": b"b"}))
        job = running_stack.finished(client, job_id)
    assert (job["state"], job["code"]) == ("failed", "no_photographs")


def test_what_came_before_an_archives_broken_end_still_comes_out(running_stack, gray_jpegs):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in gray_jpegs.items():
            member = tarfile.TarInfo(f"{name}.jpg")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    last = list(gray_jpegs)[-1]
    cut = buffer.getvalue().index(gray_jpegs[last]) + 100
    with running_stack.client() as client:
        job_id = running_stack.submit(client, "cut.tar", buffer.getvalue()[:cut])
        job = running_stack.finished(client, job_id)
        states = {photo["path"]: photo["state"] for photo in running_stack.photos(client, job_id)}
    assert job["state"] == "completed_with_errors"
    assert [states[f"{name}.jpg"] for name in gray_jpegs if name != last] == ["done"] * (len(gray_jpegs) - 1)
    assert "failed" in states.values()


def test_canceling_ends_a_job_and_keeps_what_is_done(running_stack, gray_jpegs, make_zip):
    picture = next(iter(gray_jpegs.values()))
    with running_stack.client() as client:
        content = make_zip({f"{k:03}.jpg": picture for k in range(200)})
        job_id = running_stack.submit(client, "many.zip", content)
        assert client.post(f"/api/v1/jobs/{job_id}/cancel").status_code == 202
        job = running_stack.finished(client, job_id)
        assert job["state"] == "canceled"
        assert job["counts"]["pending"] == job["counts"]["running"] == 0
        assert client.post(f"/api/v1/jobs/{job_id}/cancel").status_code == 409
