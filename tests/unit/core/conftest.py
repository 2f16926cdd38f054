"""The shipped model, loaded once for all tests of the core."""

from pathlib import Path

import pytest

from core.runtimes import choose_runtime
from core.settings import SOURCE_ROOT


@pytest.fixture(scope="session")
def runtime(runtimes_dir: Path):
    """The shipped model in the runtime that this machine's CPU gets."""
    loaded = choose_runtime(SOURCE_ROOT / "models", runtimes_dir, "cpu")
    yield loaded
    loaded.close()
