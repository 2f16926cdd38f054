"""The same job on the production's parts: PostgreSQL, and Redis over TCP."""

import io
import zipfile

import pytest


@pytest.fixture(scope="module")
def production_stack(make_stack, redis_url, module_postgres_url):
    stack = make_stack(GRAY2HUE_DATABASE_URL=module_postgres_url, GRAY2HUE_BROKER_URL=redis_url)
    yield stack
    stack.stop()


def test_the_awkward_archive_comes_out_the_same(production_stack, awkward, make_zip):
    assert "redis" not in production_stack.pids()
    with production_stack.client() as client:
        job_id = production_stack.submit(client, "awkward.zip", make_zip(awkward.contents))
        job = production_stack.finished(client, job_id)
        photos = production_stack.photos(client, job_id)
        results = client.get(f"/api/v1/jobs/{job_id}/results.zip").raise_for_status().content

    assert job["state"] == "completed_with_errors"
    assert {photo["path"]: (photo["state"], photo["code"]) for photo in photos} == awkward.expected
    names = zipfile.ZipFile(io.BytesIO(results)).namelist()
    assert len(names) == sum(photo["state"] == "done" for photo in photos) + 2
