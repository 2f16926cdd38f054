"""The model that comes with the program, as tests name it."""

from core.checkpoints import read_metadata
from core.settings import SOURCE_ROOT

SHIPPED_VERSION = read_metadata(SOURCE_ROOT / "models").version
