"""What the views work with, made once by create_app."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app

from core.boundaries import Boundaries
from core.database import Database
from core.jobs import JobLimits, OwnerLimits
from core.queue import HintSender
from core.settings import Settings
from core.storage import Storage
from web.guard import SignInGuard

EXTENSION = "gray2hue"


@dataclass(frozen=True)
class Services:
    """Connections and limits of one web process. `ping_broker` raises QueueError when the broker is away."""

    settings: Settings
    database: Database
    storage: Storage
    hints: HintSender
    ping_broker: Callable[[], None]
    guard: SignInGuard
    boundaries: Boundaries

    @property
    def job_limits(self) -> JobLimits:
        """How much of one job is in flight, and when something counts as lost."""
        return JobLimits(
            chunks_in_flight=self.settings.chunks_in_flight,
            lease_s=self.settings.lease_s,
            resend_after_s=self.settings.resend_after_s,
            max_deaths=self.settings.max_deaths,
        )

    @property
    def owner_limits(self) -> OwnerLimits:
        """How much one person may have at a time."""
        return OwnerLimits(
            open_jobs=self.settings.owner_max_open_jobs,
            open_photos=self.settings.owner_max_open_photos,
            stored_bytes=self.settings.owner_max_stored_bytes,
        )


def attach(app: Flask, services: Services) -> None:
    """Make the services known to the app's views."""
    app.extensions[EXTENSION] = services


def services() -> Services:
    """The services of the app that handles this request."""
    return cast(Services, current_app.extensions[EXTENSION])
