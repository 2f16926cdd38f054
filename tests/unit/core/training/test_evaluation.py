import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data
from skimage.color import lab2rgb, rgb2lab

from core.imaging import lab
from core.runtimes.torch_runtime import TorchRuntime
from core.training.evaluation import Predict, center_crop, evaluate, gray, model_predictor, rgb_from_lab

NAMES = {"cf", "cf_truth", "dcf", "cf_error", "psnr", "ssim", "de00", "auc", "auc_balanced", "photographs"}
MODELS_DIR = Path(__file__).resolve().parents[4] / "models"


@pytest.fixture
def crops() -> list[np.ndarray]:
    return [center_crop(getattr(data, name)(), 96) for name in ("astronaut", "chelsea", "coffee", "rocket")]


def knowing(crops: list[np.ndarray], share: float = 1) -> Predict:
    """A predictor that knows the true colors, by the lightness, and gives a share of them."""
    values = [lab.lab_from_rgb(rgb) for rgb in crops]
    answers = {one[..., 0].tobytes(): np.float32(share) * one[..., 1:] for one in values}
    return lambda lightness: answers[lightness.tobytes()]


def test_gray_has_no_color_and_the_whole_error(crops):
    scores = evaluate(gray, crops)
    summary = scores.summary()
    assert set(summary) == NAMES
    assert summary["cf"] == 0
    assert summary["dcf"] == summary["cf_error"] == summary["cf_truth"] > 20
    assert summary["de00"] > 5
    assert summary["photographs"] == len(scores) == 4


def test_the_truth_has_next_to_no_error(crops):
    summary = evaluate(knowing(crops), crops).summary()
    assert summary["de00"] < 0.05
    assert summary["psnr"] > 60
    assert summary["ssim"] > 0.999
    assert summary["cf_error"] < 0.1
    assert summary["auc"] == summary["auc_balanced"] == 1


def test_what_errs_less_scores_better(crops):
    half = evaluate(knowing(crops, 0.5), crops).summary()
    none = evaluate(gray, crops).summary()
    assert half["de00"] < none["de00"]
    assert half["dcf"] < none["dcf"]
    assert half["psnr"] > none["psnr"]
    assert half["auc_balanced"] > none["auc_balanced"]


def test_dcf_compares_means_and_cf_error_each_photograph(crops):
    scores = evaluate(gray, crops)
    object.__setattr__(scores, "cf", scores.cf_truth + np.array([10, -10, 5, -5]))
    assert scores.summary()["dcf"] == pytest.approx(0, abs=1e-9)
    assert scores.summary()["cf_error"] == pytest.approx(7.5)


def test_the_number_of_threads_changes_nothing(crops):
    one, four = evaluate(gray, crops * 3, threads=1), evaluate(gray, crops * 3, threads=4)
    for name in ("de00", "psnr", "ssim", "cf", "cf_truth", "auc"):
        np.testing.assert_array_equal(getattr(one, name), getattr(four, name))


def test_no_photographs_give_no_scores():
    assert len(evaluate(gray, [])) == 0


def test_colors_that_srgb_holds_come_out_as_they_are(crops):
    for rgb in crops:
        values = lab.lab_from_rgb(rgb)
        found = rgb_from_lab(values[..., 0], values[..., 1:])
        assert np.abs(found.astype(int) - rgb).max() <= 1


def test_colors_beyond_srgb_lose_chroma_and_keep_their_lightness():
    lightness = np.linspace(5, 95, 50, dtype=np.float32)[:, None].repeat(50, axis=1)
    ab = np.stack(np.meshgrid(np.linspace(-120, 120, 50), np.linspace(-120, 120, 50)), -1).astype(np.float32)
    found = rgb2lab(rgb_from_lab(lightness, ab))
    clipped = rgb2lab(np.clip(lab2rgb(np.dstack((lightness, ab)).clip(-127, 127)), 0, 1))
    assert np.abs(found[..., 0] - lightness).max() < 0.6
    assert np.abs(clipped[..., 0] - lightness).max() > 5


def test_a_center_crop_is_the_middle_of_the_shrunk_photograph():
    rgb = data.coffee()
    found = center_crop(rgb, 100)
    left = (rgb.shape[1] - rgb.shape[0]) // 2
    expected = Image.fromarray(rgb[:, left : left + rgb.shape[0]]).resize((100, 100), Image.Resampling.BOX)
    assert found.shape == (100, 100, 3)
    assert np.abs(found.astype(int) - np.asarray(expected)).max() <= 1


def test_a_crop_of_the_photographs_own_size_is_not_resampled():
    rgb = data.astronaut()
    np.testing.assert_array_equal(center_crop(rgb[:256, 10:310], 256), rgb[:256, 32:288])


def test_a_model_is_asked_for_a_small_copy_and_answers_at_full_size():
    runtime = TorchRuntime.load(MODELS_DIR, "cpu")
    rgb = center_crop(data.coffee(), 192)
    lightness = lab.lightness_from_rgb(rgb)
    ab = model_predictor(runtime, 64)(lightness)
    assert ab.shape == (192, 192, 2)
    assert np.isfinite(ab).all()
    assert evaluate(model_predictor(runtime, 64), [rgb]).summary()["cf"] > 5
    # At the network's own size it is asked for the picture as it is, but for the sharpening of its answer.
    own = runtime.predict(lightness)
    assert np.abs(model_predictor(runtime, 192)(lightness) - own).mean() < 2


@pytest.mark.skipif("GRAY2HUE_PHOTOS" not in os.environ, reason="GRAY2HUE_PHOTOS names no folder of photographs")
def test_gray_scores_on_the_frozen_set_what_its_description_says():
    def photographs():
        with tarfile.open(Path(os.environ["GRAY2HUE_PHOTOS"]) / "val.tar") as archive:
            for member in archive:
                image = Image.open(io.BytesIO(archive.extractfile(member).read()))
                yield center_crop(np.asarray(image.convert("RGB")))

    summary = evaluate(gray, photographs(), threads=2).summary()
    assert summary["cf_truth"] == pytest.approx(38.7, abs=0.05)
    assert summary["psnr"] == pytest.approx(22.38, abs=0.01)
    assert summary["ssim"] == pytest.approx(0.938, abs=5e-4)
    assert summary["de00"] == pytest.approx(11.24, abs=5e-3)
    assert summary["auc"] == pytest.approx(0.887, abs=6e-4)
    assert summary["auc_balanced"] == pytest.approx(0.656, abs=6e-4)
