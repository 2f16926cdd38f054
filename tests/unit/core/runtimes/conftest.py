"""Photographs as a runtime gets them, and the shipped model converted once."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from skimage import color, data, transform

from core.checkpoints import read_metadata
from core.settings import SOURCE_ROOT

MODELS = SOURCE_ROOT / "models"


@pytest.fixture(scope="session")
def models_dir() -> Path:
    return MODELS


@pytest.fixture(scope="session")
def cache_dir(runtimes_dir: Path) -> Path:
    """Holds the shipped model as OpenVINO wants it, in both forms."""
    # Here, so that the tests of CUDA run where OpenVINO is not installed.
    from core.runtimes.converted import Form, converted_model

    for form in get_args(Form):
        converted_model(MODELS, read_metadata(MODELS), runtimes_dir, form)
    return runtimes_dir


@pytest.fixture(scope="session")
def lightness_of():
    """Lightness of a photograph of skimage.data, at any size."""

    def make(name, rows, columns):
        lightness = color.rgb2lab(getattr(data, name)())[..., 0]
        return np.ascontiguousarray(transform.resize(lightness, (rows, columns), anti_aliasing=True), np.float32)

    return make


@pytest.fixture(scope="session")
def pictures(lightness_of):
    """Photographs of several sizes, none of them the one that the network was traced with."""
    sizes = [("astronaut", 128, 128), ("coffee", 96, 160), ("chelsea", 64, 224), ("rocket", 192, 64)]
    return [lightness_of(*size) for size in sizes]
