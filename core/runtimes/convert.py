"""Converting the network for OpenVINO: `python -m core.runtimes.convert MODELS_DIR FOLDER`, as converted.py calls."""

import json
import shutil
import sys
import warnings
from pathlib import Path

import openvino

from core.checkpoints import load_generator
from core.errors import CheckpointError
from core.machine import fsync, locked
from core.runtimes.converted import GRAPH, SUMS, WEIGHTS, is_whole, sha256_of


def convert(models_dir: Path, folder: Path) -> None:
    """Put the converted model into a folder, unless it is there and whole: written aside, fsynced, renamed.

    Others that want the same wait, and one whose caller was ended meanwhile still finishes its work.

    Raises:
        CheckpointError: as checkpoints.load_generator says.
        OSError: the folder cannot be written.
    """
    aside = folder.with_name(f".{folder.name}")
    with locked(folder.parent / ".lock"):
        if is_whole(folder):
            return
        for leftover in (aside, folder):
            shutil.rmtree(leftover, ignore_errors=True)
        aside.mkdir()
        openvino.serialize(_traced(models_dir), aside / GRAPH, aside / WEIGHTS)
        (aside / SUMS).write_text(json.dumps([sha256_of(aside / name) for name in (GRAPH, WEIGHTS)]))
        for path in (aside / GRAPH, aside / WEIGHTS, aside / SUMS, aside):
            fsync(path)
        aside.rename(folder)
        fsync(folder.parent)


def _traced(models_dir: Path) -> "openvino.Model":
    import torch

    from core.networks.unet import fold_last_convolution
    from core.runtimes.chroma import ChromaOfLightness

    network = ChromaOfLightness(fold_last_convolution(load_generator(models_dir))).eval()
    size = openvino.PartialShape([1, 1, -1, -1])
    with torch.inference_mode(), warnings.catch_warnings():
        # The converter traces by means that torch calls deprecated, and fastai's comparisons of sizes come out the same
        # for every size that is a multiple of 32, which the tests show.
        warnings.simplefilter("ignore")
        return openvino.convert_model(network, example_input=torch.zeros(1, 1, 256, 256), input=[size])


def main(arguments: list[str]) -> int:
    """Convert, and tell an error in the model as JSON on the standard output."""
    models_dir, folder = map(Path, arguments)
    try:
        convert(models_dir, folder)
    except CheckpointError as error:
        sys.stdout.write(json.dumps({"code": error.code, "message": error.message}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
