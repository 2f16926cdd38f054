"""A hundred real photographs, with awkward files among them, through the whole stack."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

PHOTOS = os.environ.get("GRAY2HUE_PHOTOS")
COUNT = 100


@pytest.fixture(scope="module")
def real_photographs() -> dict[str, bytes]:
    """The first hundred photographs of the validation set in gray, and all historical ones as they are."""
    if not PHOTOS:
        pytest.skip("GRAY2HUE_PHOTOS names no folder of photographs")
    contents = {f"historical/{path.name}": path.read_bytes() for path in sorted(Path(PHOTOS, "historical").glob("*"))}
    with tarfile.open(Path(PHOTOS, "val.tar")) as archive:
        members = sorted((member for member in archive if member.isfile()), key=lambda member: member.name)
        for member in members[:COUNT]:
            buffer = io.BytesIO()
            Image.open(archive.extractfile(member)).convert("L").save(buffer, "JPEG", quality=92)
            contents[f"box/{Path(member.name).stem}.jpg"] = buffer.getvalue()
    return contents


def test_all_of_them_come_out_and_every_awkward_file_is_told(running_stack, real_photographs, awkward, make_zip):
    with running_stack.client() as client:
        job_id = running_stack.submit(client, "box.zip", make_zip(real_photographs | awkward.contents))
        job = running_stack.finished(client, job_id, 600)
        photos = running_stack.photos(client, job_id)
        results = client.get(f"/api/v1/jobs/{job_id}/results.zip").raise_for_status().content

    expected = dict.fromkeys(real_photographs, ("done", "")) | awkward.expected
    assert job["state"] == "completed_with_errors"
    assert {photo["path"]: (photo["state"], photo["code"]) for photo in photos} == expected
    with zipfile.ZipFile(io.BytesIO(results)) as archive:
        assert archive.testzip() is None
        assert set(real_photographs) <= set(archive.namelist())
        for path, content in real_photographs.items():
            assert Image.open(archive.open(path)).size == Image.open(io.BytesIO(content)).size
