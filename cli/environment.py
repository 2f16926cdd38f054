"""From the environment to Settings, and from Settings to a child's environment."""

import os
from collections.abc import Mapping

from pydantic import ValidationError

from core.errors import SetupError
from core.settings import Settings


def read_settings() -> Settings:
    """The Settings of this process; SetupError (`bad_settings`) names every variable that has no sensible value."""
    try:
        return Settings()
    except ValidationError as error:
        prefix = str(Settings.model_config.get("env_prefix", ""))
        faults = [f"{prefix}{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}" for fault in error.errors()]
        raise SetupError("bad_settings", "; ".join(faults)) from error


def child_environment(settings: Settings, broker_url: str, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for the parts of a stack: the person's own, with our folders absolute and the broker named.

    The parts run in another folder than the person does, so nothing relative may be left in it.
    """
    return {
        **inherited,
        "GRAY2HUE_DATA_DIR": str(settings.data_dir),
        "GRAY2HUE_STORAGE_DIR": str(settings.storage_dir),
        "GRAY2HUE_MODELS_DIR": str(settings.models_dir.absolute()),
        "GRAY2HUE_RUNTIMES_DIR": str(settings.runtimes_dir),
        "GRAY2HUE_TRAINING_DIR": str(settings.training_dir),
        "GRAY2HUE_DATABASE_URL": settings.database_url,
        "GRAY2HUE_BROKER_URL": broker_url,
        "PYTHONUNBUFFERED": "1",
    }
