"""Weights and the JSON metadata beside them. Importing this imports no torch; loading or importing weights does."""

from core.checkpoints.bundles import write_bundle
from core.checkpoints.importing import prepare_model
from core.checkpoints.loading import load_generator, load_generators
from core.checkpoints.locating import find_model
from core.checkpoints.metadata import (
    CARD_NAME,
    METADATA_NAME,
    VERSION_PATTERN,
    Architecture,
    ModelMetadata,
    parse_metadata,
    read_metadata,
    read_weights,
)
from core.checkpoints.prepared import PreparedModel

__all__ = [
    "CARD_NAME",
    "METADATA_NAME",
    "VERSION_PATTERN",
    "Architecture",
    "ModelMetadata",
    "PreparedModel",
    "find_model",
    "load_generator",
    "load_generators",
    "parse_metadata",
    "prepare_model",
    "read_metadata",
    "read_weights",
    "write_bundle",
]
