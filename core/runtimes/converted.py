"""The network converted for OpenVINO, kept in a folder so that only the first start takes the time."""

import hashlib
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Literal

import openvino

from core.checkpoints import ModelMetadata, read_weights
from core.errors import CheckpointError, SetupError

log = logging.getLogger(__name__)

Form = Literal["full", "int8"]
"""The weights as they are, or quantized to eight bits; see quantize.py."""

CONVERSION = 2
"""Number of the way in which convert.py converts; raising it makes the kept models be made anew."""
GRAPH, WEIGHTS, SUMS = "model.xml", "model.bin", "sums.json"


def converted_model(
    models_dir: Path, metadata: ModelMetadata, cache_dir: Path, form: Form = "full"
) -> "openvino.Model":
    """The model that maps L, float32 (1, 1, h, w) in 0..100, to ab, float32 (1, h, w, 2).

    It is read from cache_dir, or made and kept there. One that is damaged there is made anew. Of several processes that
    want it at once one makes it, and the others wait.

    Raises:
        CheckpointError: as checkpoints.load_generator says.
        SetupError: conversion_failed.
        OSError: cache_dir cannot be written.
    """
    version = openvino.get_version().partition("-")[0]
    folder = cache_dir / f"{metadata.sha256}-openvino-{version}-{form}-{CONVERSION}"
    if not is_whole(folder):
        read_weights(models_dir, metadata)
        cache_dir.mkdir(parents=True, exist_ok=True)
        _convert_apart(models_dir, folder, form)
    return openvino.Core().read_model(folder / GRAPH)


def is_whole(folder: Path) -> bool:
    """Whether graph and weights are there, byte for byte as they were written."""
    try:
        sums = json.loads((folder / SUMS).read_bytes())
        whole: bool = sums == [sha256_of(folder / name) for name in (GRAPH, WEIGHTS)]
    except FileNotFoundError:
        return False
    except ValueError:
        whole = False
    if not whole:
        log.warning("the converted model in %s is damaged and is made anew", folder)
    return whole


def sha256_of(path: Path) -> str:
    """Of a file, in lowercase hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _convert_apart(models_dir: Path, folder: Path, form: Form) -> None:
    """Convert in a process of its own; with torch in it, this one would stay larger by a gigabyte."""
    log.info("converting the model for OpenVINO (%s); this is done once and takes up to a minute", form)
    command = [sys.executable, "-m", "core.runtimes.convert", str(models_dir), str(folder), form]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    if ended.returncode == 0:
        return
    try:
        told = json.loads(ended.stdout)
    except ValueError:
        last = (ended.stderr.strip() or f"it ended with {ended.returncode}").splitlines()[-1]
        raise SetupError("conversion_failed", f"The model could not be converted for OpenVINO: {last}") from None
    raise CheckpointError(told["code"], told["message"])
