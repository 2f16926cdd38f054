"""Weights and the JSON metadata beside them. Importing this imports no torch; loading or importing weights does."""

from core.checkpoints.importing import PreparedModel, prepare_model
from core.checkpoints.loading import load_generator, load_generators
from core.checkpoints.locating import find_model
from core.checkpoints.metadata import (
    METADATA_NAME,
    VERSION_PATTERN,
    Architecture,
    ModelMetadata,
    read_metadata,
    read_weights,
)

__all__ = [
    "METADATA_NAME",
    "VERSION_PATTERN",
    "Architecture",
    "ModelMetadata",
    "PreparedModel",
    "find_model",
    "load_generator",
    "load_generators",
    "prepare_model",
    "read_metadata",
    "read_weights",
]
