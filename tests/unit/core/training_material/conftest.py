"""A small bench for training material, driven without workers, on each database."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from core import training_material as material
from core.database import Database
from core.records import MaterialUpload, TrainingPhoto, utc_now
from core.training_material import Leavings, MaterialClaim, MaterialHint, NewTrainingPhoto

LEASE_S = 30


def sha256_in(share: int, number: int = 0) -> str:
    """A hash that falls into the given hundredth, different for each number."""
    return f"{100 * (number + 1) + share:08x}" + f"{number:056x}"


def photo(number: int, share: int = 50, **values: str) -> NewTrainingPhoto:
    """A usable photograph to train on, unless the hundredth says otherwise."""
    given = {
        "path": f"{number}.jpg",
        "key": f"k/{number}",
        "sha256": sha256_in(share, number),
        "fingerprint": f"{number:016x}",
    }
    return NewTrainingPhoto(**{**given, **values})


@dataclass
class Bench:
    """Calls, each in its own transaction."""

    database: Database

    def add(self, upload_id: str = "u") -> None:
        with self.database.write() as session:
            arguments = {"owner_id": "ada", "name": f"{upload_id}.zip", "key": f"up/{upload_id}", "size_bytes": 10}
            material.add_upload(session, upload_id=upload_id, **arguments)

    def claim(self, upload_id: str = "u", owner: str = "w1") -> MaterialClaim | None:
        with self.database.write() as session:
            return material.claim_upload(session, upload_id, owner, LEASE_S)

    def photos(self, claim: MaterialClaim, *photos: NewTrainingPhoto, near_bits: int = 0) -> list[str] | None:
        with self.database.write() as session:
            return material.add_photos(session, claim, photos, near_bits)

    def finish(self, claim: MaterialClaim) -> bool:
        with self.database.write() as session:
            return material.finish_upload(session, claim)

    def read(self, upload_id: str, *photos: NewTrainingPhoto) -> None:
        """An upload from its arrival to its end."""
        self.add(upload_id)
        claim = self.claim(upload_id)
        assert claim is not None
        assert self.photos(claim, *photos) is not None
        assert self.finish(claim)

    def withdraw(self, upload_id: str = "u") -> list[str]:
        with self.database.write() as session:
            return material.withdraw_upload(session, upload_id)

    def leavings(self, upload_id: str = "u") -> Leavings | None:
        with self.database.write() as session:
            return material.leavings(session, upload_id)

    def note_cleared(self, cleared: Leavings) -> None:
        with self.database.write() as session:
            material.note_cleared(session, cleared)

    def sweep(self) -> list[MaterialHint]:
        with self.database.write() as session:
            return material.sweep_uploads(session, resend_after_s=30, max_deaths=3)

    def age(self, seconds: float) -> None:
        """Let all leases and sent hints grow older."""
        past = utc_now() - timedelta(seconds=seconds)
        with self.database.write() as session:
            session.execute(update(MaterialUpload).values(sent_at=past))
            held = update(MaterialUpload).where(MaterialUpload.lease_until.is_not(None))
            session.execute(held.values(lease_until=past))

    def upload(self, upload_id: str = "u") -> MaterialUpload:
        with self.database.read() as session:
            return session.get_one(MaterialUpload, upload_id)

    def rows(self) -> list[TrainingPhoto]:
        with self.database.read() as session:
            return list(session.scalars(select(TrainingPhoto).order_by(TrainingPhoto.path)))

    def summary(self) -> dict[str, int]:
        with self.database.read() as session:
            return material.summary(session)


@pytest.fixture
def bench(database: Database) -> Bench:
    return Bench(database)


@pytest.fixture(name="photo")
def photo_fixture():
    return photo
