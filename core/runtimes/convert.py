"""Converting the network for OpenVINO: `python -m core.runtimes.convert MODELS_DIR FOLDER FORM`, by converted.py."""

import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import openvino
from openvino import opset13 as operations

from core.checkpoints import load_generator, read_metadata
from core.errors import CheckpointError
from core.machine import fsync, locked
from core.runtimes.converted import GRAPH, SUMS, WEIGHTS, Form, is_whole, sha256_of


def convert(models_dir: Path, folder: Path, form: Form) -> None:
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
        model = _traced(models_dir)
        if form == "int8":
            model = _quantized(model, models_dir)
        openvino.serialize(model, aside / GRAPH, aside / WEIGHTS)
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
        return openvino.convert_model(
            network, example_input=torch.zeros(1, 1, 256, 256), input=[size], extension=_shuffles_as_one_step()
        )


def _shuffles_as_one_step() -> list[object]:
    """Keep pixel shuffles whole; of pictures of any size, the converter makes transpositions of them.

    Those take a tenth of all time.
    """
    import torch
    from openvino.frontend.pytorch import ConversionExtension, ModuleExtension

    def by_two(shuffle: torch.nn.PixelShuffle) -> bool:
        return shuffle.upscale_factor == 2

    def converted(node: Any) -> list[Any]:
        return [operations.depth_to_space(node.get_input(0), "depth_first", 2).output(0)]

    name = "gray2hue::pixel_shuffle"
    return [ModuleExtension(torch.nn.PixelShuffle, name, condition=by_two), ConversionExtension(name, converted)]


def _quantized(model: "openvino.Model", models_dir: Path) -> "openvino.Model":
    from core.runtimes.quantize import quantized

    return quantized(model, read_metadata(models_dir).network_edge_px)


def main(arguments: list[str]) -> int:
    """Convert, and tell an error in the model as JSON on the standard output."""
    models_dir, folder, form = arguments
    try:
        convert(Path(models_dir), Path(folder), "int8" if form == "int8" else "full")
    except CheckpointError as error:
        sys.stdout.write(json.dumps({"code": error.code, "message": error.message}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
