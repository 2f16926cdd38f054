"""A web application on a real database and a real storage folder, with people, jobs and photos to look at."""

import functools
import io
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from core import accounts, jobs, registry
from core.checkpoints import METADATA_NAME, read_metadata
from core.database import Database
from core.options import JobOptions
from core.queue import RecordedHints
from core.records import Base, Job, JobState, Photo, PhotoState, User, new_id, utc_now
from core.settings import Settings
from core.storage import LocalStorage
from web.app import create_app

PASSWORD = "a long enough password"  # noqa: S105 - a password of nobody
JPEG = b"\xff\xd8\xff" + bytes(range(256)) * 40


class Client(FlaskClient):
    """Reads every answer to its end and closes it, as a server does."""

    def open(self, *args: Any, buffered: bool = True, **options: Any) -> Any:
        return super().open(*args, buffered=buffered, **options)


@dataclass
class Site:
    """A running application and what is behind it."""

    settings: Settings
    database: Database
    hints: RecordedHints = field(default_factory=RecordedHints)

    def __post_init__(self) -> None:
        self.storage = LocalStorage(self.settings.storage_dir)
        self.app: Flask = create_app(self.settings, hints=self.hints)
        self.app.test_client_class = Client

    def user(self, name: str, admin: bool = False, password: str = "") -> User:
        with self.database.write() as records:
            user = User(name=name, is_admin=admin)
            records.add(user)
            records.flush()
            if password:
                link = accounts.make_setup_link(records, user, 60)
                user = accounts.use_setup_link(records, link, password)
        return user

    def have_model(self, version: str) -> None:
        """Have a machine's own copy of a version say that it is there; its weights are the workers' matter."""
        folder = self.settings.imported_models_dir / version
        folder.mkdir(parents=True)
        metadata = read_metadata(self.settings.models_dir).model_copy(update={"version": version})
        (folder / METADATA_NAME).write_text(metadata.model_dump_json())

    def setup_link(self, user: User) -> str:
        with self.database.write() as records:
            return accounts.make_setup_link(records, user, 60)

    def key(self, user: User, name: str = "a program") -> str:
        with self.database.write() as records:
            return accounts.make_api_key(records, user, name)[1]

    def program(self, user: User) -> FlaskClient:
        """A client that sends an API key with every request."""
        client = self.app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {self.key(user)}"
        return client

    def browser(self, user: User) -> FlaskClient:
        """A client with the session of a person who signed in with PASSWORD."""
        client = self.app.test_client()
        response = self.sign_in(client, user.name, PASSWORD)
        assert response.status_code == 303
        return client

    def sign_in(self, client: FlaskClient, name: str, password: str, query: str = "") -> Any:
        form = {"name": name, "password": password, "csrf_token": self.token(client)}
        return client.post(f"/sign-in{query}", data=form)

    def token(self, client: FlaskClient, path: str = "/sign-in") -> str:
        """The CSRF token of the page, as its script would read it."""
        found = re.search(r'name="csrf-token" content="([^"]+)"', client.get(path).text)
        assert found is not None
        return found[1]

    def job(self, owner: User, options: JobOptions | None = None, **values: Any) -> Job:
        with self.database.write() as records:
            uploads = [("photos.zip", "jobs/x/uploads/0", 10)]
            job = jobs.submit(
                records,
                owner_id=owner.id,
                name=values.pop("name", "photos.zip"),
                model_version="v-test",
                uploads=uploads,
                express=False,
                job_id=new_id(),
                options=options,
            )
            for name, value in values.items():
                setattr(job, name, value)
        return job

    def finished_job(self, owner: User, **values: Any) -> Job:
        now = utc_now()
        times = {"started_at": now - timedelta(seconds=9), "finished_at": now, "ingested_at": now}
        return self.job(owner, state=JobState.COMPLETED, **times, **values)

    def photo(self, job: Job, position: int, state: PhotoState = PhotoState.PENDING, **values: Any) -> Photo:
        photo_id = new_id()
        path = values.pop("path", f"folder/photo {position}.jpg")
        given = {"original_key": f"jobs/{job.id}/originals/{photo_id}", "media_type": "image/jpeg"} | values
        photo = Photo(id=photo_id, job_id=job.id, position=position, path=path, state=state, **given)
        with self.database.write() as records:
            records.add(photo)
        return photo

    def done_photo(self, job: Job, position: int, result: bytes = JPEG, **values: Any) -> Photo:
        """A photo that is done, with its bytes and previews in the storage."""
        path = values.pop("path", f"folder/photo {position}.jpg")
        outcome = values.pop("outcome", {})
        photo = self.photo(job, position, path=path, **values)
        result_key = f"jobs/{job.id}/results/{photo.id}-1"
        original = self.put(photo.original_key, b"original of " + result)
        stored = self.put(result_key, result)
        for key in (photo.original_key, result_key):
            for size in ("preview", "thumbnail"):
                self.put(f"{key}.{size}", f"{size} of {key}".encode())
        outcome = {
            "state": PhotoState.DONE,
            "result_key": result_key,
            "result_path": path,
            "size_bytes": original.size_bytes,
            "sha256": original.sha256,
            "result_size_bytes": stored.size_bytes,
            "result_sha256": stored.sha256,
            "result_media_type": photo.media_type,
            "model_version": "v-test",
            "runtime": "test",
            "seconds": 0.5,
            "losses": ["an ICC profile"],
            "lightness_error_mean": 0.04,
            "lightness_error_max": 0.25,
            "mean_chroma": 12.5,
            "finished_at": utc_now(),
            "width": 40,
            "height": 30,
            "bit_depth": 8,
            **outcome,
        }
        with self.database.write() as records:
            photo = records.get_one(Photo, photo.id)
            for name, value in outcome.items():
                setattr(photo, name, value)
        return photo

    def put(self, key: str, content: bytes) -> Any:
        return self.storage.put(key, io.BytesIO(content))

    def jobs(self) -> list[Job]:
        with self.database.read() as records:
            return list(records.query(Job).order_by(Job.created_at))

    def left_incoming(self) -> list[Path]:
        folder = self.settings.incoming_dir
        return list(folder.iterdir()) if folder.exists() else []


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed with little effort here; how much the product makes is seen in the tests of accounts."""
    cheap = functools.partial(PasswordHasher, time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr("core.accounts.PasswordHasher", cheap)


@pytest.fixture(scope="session")
def prepare(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Settings], Database]:
    """Give a stack its database: a copy of one that was made once, with the tables and a model version."""
    template = tmp_path_factory.mktemp("template") / "gray2hue.db"
    database = Database(f"sqlite:///{template}")
    Base.metadata.create_all(database.engine)
    with database.write() as records:
        registry.activate(records, registry.register(records, "v-test", "test", "0" * 64))
    database.dispose()

    def copy(settings: Settings) -> Database:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template, settings.data_dir / template.name)
        return Database(settings.database_url)

    return copy


@pytest.fixture
def make_site(tmp_path: Path, prepare: Callable[[Settings], Database]) -> Iterator[Any]:
    """Make a site with settings of one's own."""
    made: list[Site] = []

    def make(**values: Any) -> Site:
        settings = Settings(data_dir=tmp_path / f"data {len(made)}", **values)
        made.append(Site(settings, prepare(settings)))
        return made[-1]

    yield make
    for site in made:
        site.database.dispose()
        site.app.extensions["gray2hue"].database.dispose()


@pytest.fixture
def site(make_site: Any) -> Site:
    return make_site()


@pytest.fixture(name="password")
def password_fixture() -> str:
    return PASSWORD
