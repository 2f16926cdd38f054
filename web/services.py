"""What the views work with, made once by create_app."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app

from core.database import Database
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


def attach(app: Flask, services: Services) -> None:
    """Make the services known to the app's views."""
    app.extensions[EXTENSION] = services


def services() -> Services:
    """The services of the app that handles this request."""
    return cast(Services, current_app.extensions[EXTENSION])
