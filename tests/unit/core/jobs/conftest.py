"""A small bench for the job engine: one job on each database, driven without workers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from core import jobs
from core.database import Database
from core.jobs import ClaimedPhoto, Hint, IngestClaim, JobLimits, NewPhoto, PhotoResult
from core.options import JobOptions
from core.records import Chunk, Job, Photo, PhotoState, User, utc_now

LIMITS = JobLimits(chunks_in_flight=2, lease_s=30, resend_after_s=30, max_deaths=3)
RESULT = PhotoResult(
    result_key="r",
    result_size_bytes=1,
    result_sha256="0" * 64,
    result_media_type="image/jpeg",
    model_version="v-test",
    runtime="test",
    seconds=0.5,
    warning="",
    losses=(),
    lightness_error_mean=0.04,
    lightness_error_max=0.25,
    mean_chroma=12.5,
)


@dataclass
class Bench:
    """Calls of the job engine, each in its own transaction."""

    database: Database
    limits: JobLimits = LIMITS
    job_id: str = "job"

    def submit(self, *, express: bool = False, options: JobOptions | None = None) -> None:
        with self.database.write() as session:
            jobs.submit(
                session,
                owner_id="ada",
                name="photos.zip",
                model_version="v-test",
                uploads=[("photos.zip", "jobs/job/uploads/0", 10)],
                express=express,
                job_id=self.job_id,
                options=options,
            )

    def claim_ingest(self, owner: str = "w1") -> IngestClaim | None:
        with self.database.write() as session:
            return jobs.claim_ingest(session, self.job_id, owner, self.limits)

    def add(self, claim: IngestClaim, photos: list[NewPhoto]) -> list[Hint] | None:
        with self.database.write() as session:
            return jobs.add_photos(session, claim, photos, self.limits)

    def ingest(self, chunks: list[int]) -> list[Hint]:
        """Submit and unpack a job with chunks of the given numbers of photos."""
        self.submit()
        claim = self.claim_ingest()
        assert claim is not None
        hints, position = [], 0
        for count in chunks:
            photos = [NewPhoto(position + k, f"{position + k}.jpg", original_key="o") for k in range(count)]
            hints += self.add(claim, photos) or []
            position += count
        with self.database.write() as session:
            assert jobs.finish_ingest(session, claim)
        return hints

    def claim(self, number: int, owner: str = "w1") -> list[ClaimedPhoto]:
        with self.database.write() as session:
            return jobs.claim_chunk(session, self.job_id, number, owner, self.limits)

    def finish(self, claim: ClaimedPhoto, result_key: str = "r", **outcome: Any) -> bool:
        with self.database.write() as session:
            return jobs.finish_photo(session, claim, replace(RESULT, result_key=result_key, **outcome))

    def skip(self, claim: ClaimedPhoto) -> bool:
        with self.database.write() as session:
            return jobs.skip_photo(session, claim, "already_color", "in color already")

    def fail(self, claim: ClaimedPhoto) -> bool:
        with self.database.write() as session:
            return jobs.fail_photo(session, claim, "truncated_image", "cut off")

    def finish_chunk(self, number: int) -> list[Hint]:
        with self.database.write() as session:
            return jobs.finish_chunk(session, self.job_id, number, self.limits)

    def work(self, number: int) -> list[Hint]:
        for claim in self.claim(number):
            assert self.finish(claim)
        return self.finish_chunk(number)

    def cancel(self) -> None:
        with self.database.write() as session:
            jobs.cancel(session, self.job_id)

    def sweep(self) -> list[Hint]:
        with self.database.write() as session:
            return jobs.sweep(session, self.limits).hints

    def age(self, seconds: float) -> None:
        """Let all leases and sent hints grow older."""
        with self.database.write() as session:
            past = utc_now() - timedelta(seconds=seconds)
            session.execute(update(Photo).where(Photo.lease_until.is_not(None)).values(lease_until=past))
            session.execute(update(Chunk).where(Chunk.sent_at.is_not(None)).values(sent_at=past))
            session.execute(update(Job).values(ingest_sent_at=past))
            session.execute(update(User).where(User.last_served_at.is_not(None)).values(last_served_at=past))
            session.execute(update(Job).where(Job.ingest_lease_until.is_not(None)).values(ingest_lease_until=past))

    def job(self) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, self.job_id)

    def photos(self) -> list[Photo]:
        with self.database.read() as session:
            return list(session.scalars(select(Photo).order_by(Photo.position)))

    def states(self) -> list[PhotoState]:
        return [PhotoState(photo.state) for photo in self.photos()]


@pytest.fixture
def bench(database: Database) -> Bench:
    return Bench(database)


@pytest.fixture
def with_limits(bench: Bench) -> Callable[..., Bench]:
    """The bench with some limits changed."""

    def change(**limits: float) -> Bench:
        bench.limits = replace(bench.limits, **limits)
        return bench

    return change
