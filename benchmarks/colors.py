"""What the default weights score, beside gray, and whether precision, saturation, size or a second look would pay.

    python -m benchmarks.colors VALIDATION --out benchmarks/results/colors

The photographs are parted by the hash of their bytes, as they were when the default weights were chosen: what is chosen
from is measured on the calibration half, and the model as it is, and gray, on the other half too, which nothing was
chosen by.
"""

import argparse
import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.common import Row, report
from cli.environment import read_settings
from core.checkpoints import read_metadata
from core.imaging.arrays import Floats
from core.machine import usable_cores
from core.runtimes import choose_runtime
from core.settings import SOURCE_ROOT
from core.training.evaluation import Pixels, Predict, center_crop, evaluate, gray, model_predictor
from core.training.sources import decode_photo, find_photos
from core.training.split import SHARES, share_of

CALIBRATION_SHARES = SHARES // 2
SATURATIONS = (0.8, 0.9, 1.1, 1.2, 1.3, 1.5)
EDGES_PX = (128, 256)
SCORES = ("cf", "cf_truth", "dcf", "cf_error", "psnr", "ssim", "de00", "auc", "auc_balanced")


def halves(validation: Path, count: int) -> tuple[list[Pixels], list[Pixels]]:
    """The center crops to calibrate by, and those to report on."""
    parts: tuple[list[Pixels], list[Pixels]] = ([], [])
    for number, photo in enumerate(find_photos([validation])):
        if number == count:
            break
        content = photo.read()
        is_reported = share_of(hashlib.sha256(content).hexdigest()) >= CALIBRATION_SHARES
        parts[is_reported].append(center_crop(decode_photo(content)))
    return parts


def saturated(predict: Predict, saturation: float) -> Predict:
    """With all chroma multiplied."""
    return lambda lightness: predict(lightness) * np.float32(saturation)


def mirrored(predict: Predict) -> Predict:
    """The mean of what is seen in the photograph and in its mirror image."""

    def both(lightness: Floats) -> Floats:
        turned = predict(np.ascontiguousarray(lightness[:, ::-1]))[:, ::-1]
        return np.ascontiguousarray((predict(lightness) + turned) / 2)

    return both


def remembered(predict: Predict) -> Predict:
    """Asks once for each picture."""
    known: dict[bytes, Floats] = {}

    def recall(lightness: Floats) -> Floats:
        key = hashlib.sha256(lightness.tobytes()).digest()
        if key not in known:
            known[key] = predict(lightness)
        return known[key]

    return recall


def candidates(predict_at: Callable[[int], Predict], full: Predict, edge_px: int) -> Iterator[tuple[str, Predict]]:
    """What there is to choose from, the model as it is first, then as `full`, in floating point."""
    plain = remembered(predict_at(edge_px))
    yield f"as it is ({edge_px} px)", plain
    yield "in floating point", full
    yield from ((f"saturation {factor:g}", saturated(plain, factor)) for factor in SATURATIONS)
    yield "mean with its mirror image", mirrored(plain)
    yield from ((f"{other} px", predict_at(other)) for other in EDGES_PX)


def row(half: str, name: str, predict: Predict, crops: Sequence[Pixels]) -> Row:
    """One line of the table."""
    scores = evaluate(predict, crops, usable_cores()).summary()
    return {"half": half, "colors": name, "photographs": len(crops), **{key: scores[key] for key in SCORES}}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("validation", type=Path, help="folder or archive of color photographs")
    parser.add_argument("--model", type=Path, default=SOURCE_ROOT / "models", help="folder of the model")
    parser.add_argument("--count", type=int, default=10_000, help="photographs at most")
    parser.add_argument("--out", type=Path, help="results as PATH.json and PATH.md")
    options = parser.parse_args()
    metadata = read_metadata(options.model)
    runtimes_dir, edge_px = read_settings().runtimes_dir, metadata.network_edge_px
    runtime = choose_runtime(options.model, runtimes_dir, "cpu", "auto")
    floating = choose_runtime(options.model, runtimes_dir, "cpu", "openvino")
    calibration, reported = halves(options.validation, options.count)
    rows = [row("calibration", "gray", gray, calibration)]
    full = model_predictor(floating, edge_px)
    for name, predict in candidates(partial(model_predictor, runtime), full, edge_px):
        rows.append(row("calibration", name, predict, calibration))
    rows.append(row("report", "gray", gray, reported))
    rows.append(row("report", f"as it is ({edge_px} px)", model_predictor(runtime, edge_px), reported))
    rows.append(row("report", "in floating point", full, reported))
    notes = [f"Center crops of 256 x 256 pixels. As it is: {runtime.name}; in floating point: {floating.name}."]
    runtime.close()
    floating.close()
    report(f"Colors of {metadata.version}", rows, options.out, notes)


if __name__ == "__main__":
    main()
