import numpy as np
import pytest
from skimage import data
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio

from core.imaging import lab
from core.training.metrics import LEAST_BIN_PIXELS, BinnedAuc, auc, colorfulness, de00, psnr, ssim


@pytest.fixture
def truth() -> np.ndarray:
    return data.astronaut()[:200, :240]


@pytest.fixture
def result(truth: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(truth[..., [1, 0, 2]])


def test_gray_has_no_colorfulness():
    assert colorfulness(np.repeat(data.camera()[..., None], 3, axis=2)) == 0


def test_colorfulness_is_that_of_absolute_differences():
    rgb = np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)
    # |R - G| is 255 in both pixels, |0.5 (R + G) - B| 127.5: no spread at all, for all that they are opposite colors.
    assert colorfulness(rgb) == pytest.approx(0.3 * np.hypot(255, 127.5))
    rgb = np.array([[[200, 100, 50], [90, 100, 100]]], np.uint8)
    rg, yb = np.array([100, 10]), np.array([100, 5])
    expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert colorfulness(rgb) == pytest.approx(expected)


def test_psnr_is_scikit_images(truth, result):
    assert psnr(truth, result) == pytest.approx(peak_signal_noise_ratio(truth, result), abs=1e-4)


def test_equal_pictures_have_the_best_of_all_numbers(truth):
    values = lab.lab_from_rgb(truth)
    assert psnr(truth, truth) == 100
    assert ssim(truth, truth) == 1
    assert de00(values, values) == 0
    assert auc(values[..., 1:], values[..., 1:]).mean == 1


def test_de00_is_the_mean_of_scikit_images(truth, result):
    expected = deltaE_ciede2000(rgb2lab(truth), rgb2lab(result)).mean()
    assert de00(lab.lab_from_rgb(truth), lab.lab_from_rgb(result)) == pytest.approx(expected, abs=1e-2)


def test_ssim_falls_with_noise(truth):
    rng = np.random.default_rng(0)
    noisy = [np.clip(truth + rng.normal(0, sigma, truth.shape), 0, 255).astype(np.uint8) for sigma in (5, 20)]
    assert 1 > ssim(truth, noisy[0]) > ssim(truth, noisy[1]) > 0


def test_auc_is_the_area_under_the_curve_of_pixels_within_a_distance(truth, result):
    truth_ab, result_ab = (lab.lab_from_rgb(rgb)[..., 1:] for rgb in (truth, result))
    distances = np.hypot(*np.moveaxis(truth_ab - result_ab, -1, 0))
    expected = np.mean([(distances <= threshold).mean() for threshold in range(151)])
    assert auc(truth_ab, result_ab).mean == pytest.approx(expected)


def test_balanced_auc_counts_every_bin_of_color_the_same():
    truth_ab = np.zeros((100, 100, 2), np.float32)
    truth_ab[:20] = 55, 5
    result_ab = np.zeros_like(truth_ab)
    found = auc(truth_ab, result_ab)
    rare = np.mean([np.hypot(55, 5) <= threshold for threshold in range(151)])
    assert found.mean == pytest.approx(0.8 + 0.2 * rare)
    assert found.balanced == pytest.approx((1 + rare) / 2)


def test_bins_with_few_pixels_count_only_once_the_set_has_enough_of_them():
    truth_ab = np.zeros((100, 100, 2), np.float32)
    truth_ab.reshape(-1, 2)[: LEAST_BIN_PIXELS // 2 + 1] = 55, 5
    one = auc(truth_ab, np.zeros_like(truth_ab))
    assert one.balanced == 1
    assert BinnedAuc.summed([one, one]).balanced < 1
    assert BinnedAuc.summed([one, one]).mean == pytest.approx(one.mean)


def test_without_any_large_bin_there_is_no_balanced_auc():
    assert np.isnan(auc(np.zeros((5, 5, 2), np.float32), np.zeros((5, 5, 2), np.float32)).balanced)
