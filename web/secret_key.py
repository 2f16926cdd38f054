"""The key that signs sessions and CSRF tokens."""

import os
import secrets
from pathlib import Path

from core.settings import Settings

SECRET_BYTES = 32


def load_secret_key(settings: Settings) -> str:
    """The key from the settings, else the one in run/secret.key, made there once with mode 0600.

    It is written aside and linked into place, so that of two processes that start together both end with the same key
    and none reads half of one.
    """
    if settings.secret_key:
        return settings.secret_key
    path = settings.run_dir / "secret.key"
    if not path.exists():
        _make(path)
    return path.read_text("ascii").strip()


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(SECRET_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(aside)
        except FileExistsError:
            return
    finally:
        aside.unlink(missing_ok=True)
