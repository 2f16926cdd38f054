import numpy as np
import pytest
from skimage import data
from skimage.filters import gaussian

from core.imaging import lab
from core.training.augmentation import age, blurred
from core.training.config import NO_AUGMENTATION, AugmentationConfig

FAULTS = ("grain", "blur", "fade", "gamma", "scratches", "jpeg")


def only(fault: str) -> AugmentationConfig:
    return NO_AUGMENTATION.model_copy(update={fault: 1})


@pytest.fixture
def lightness() -> np.ndarray:
    return lab.lightness_from_rgb(data.astronaut()[100:228, 150:278])


def aged(lightness: np.ndarray, config: AugmentationConfig, seed: int = 0) -> np.ndarray:
    return age(lightness, np.random.default_rng(seed), config)


def test_without_faults_the_lightness_stays_as_it_is(lightness):
    np.testing.assert_array_equal(aged(lightness, NO_AUGMENTATION), lightness)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("seed", range(5))
def test_every_fault_changes_lightness_within_its_range(lightness, fault, seed):
    before = lightness.copy()
    found = aged(lightness, only(fault), seed)
    assert (found.shape, found.dtype) == (lightness.shape, np.float32)
    assert found.min() >= 0
    assert found.max() <= 100
    assert 0.02 < np.abs(found - lightness).mean() < 35
    np.testing.assert_array_equal(lightness, before)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_in_the_picture_can_still_be_recognized(lightness, fault):
    for seed in range(5):
        assert np.corrcoef(aged(lightness, only(fault), seed).ravel(), lightness.ravel())[0, 1] > 0.9


def test_the_same_random_numbers_give_the_same_picture(lightness):
    everything = AugmentationConfig(**dict.fromkeys(FAULTS, 1))
    np.testing.assert_array_equal(aged(lightness, everything, 3), aged(lightness, everything, 3))
    assert not np.array_equal(aged(lightness, everything, 3), aged(lightness, everything, 4))


def test_faults_come_as_often_as_configured(lightness):
    half = NO_AUGMENTATION.model_copy(update={"fade": 0.5})
    changed = sum(not np.array_equal(aged(lightness, half, seed), lightness) for seed in range(200))
    assert 70 < changed < 130


def test_fading_takes_contrast_away(lightness):
    for seed in range(5):
        assert aged(lightness, only("fade"), seed).std() < lightness.std()


def test_grain_is_strongest_in_the_midtones():
    levels = np.repeat(np.array([[2.0], [50.0], [98.0]], np.float32), 4000, axis=1)
    shadows, midtones, lights = aged(levels, only("grain")).std(axis=1)
    assert midtones > 2 * max(shadows, lights)


def test_blurring_is_that_of_a_gauss(lightness):
    expected = gaussian(lightness, 1.1, mode="nearest", truncate=4, preserve_range=True)
    assert np.abs(blurred(lightness, 1.1) - expected).max() < 0.3
