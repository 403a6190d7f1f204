import keras
import numpy as np
import pytest
from scipy.ndimage import correlate

from keras_dynamonet.metrics import (
    PSNR,
    PSNRGain,
    copy_last_prediction,
    least_squares_prediction,
    psnr,
)


def frames(count, seed=0):
    shape = (count, 2, 6, 7, 3)
    return np.random.default_rng(seed).random(shape).astype("float32")


def test_psnr_is_that_of_the_mean_error_of_all_clips():
    real, predicted = frames(5), frames(5, seed=1)
    metric = PSNR()
    # Batches of different sizes, as at the end of an epoch.
    metric.update_state(real[:4], predicted[:4])
    metric.update_state(real[4:], predicted[4:])
    expected = -10 * np.log10(np.mean((real - predicted) ** 2))
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)
    metric.reset_state()
    metric.update_state(real, real)
    assert float(metric.result()) == pytest.approx(100)


@pytest.mark.parametrize("weight", ([1.0, 0.0, 3.0], [[1.0], [0.0], [3.0]]))
def test_psnr_weighs_clips(weight):
    real, predicted = frames(3), frames(3, seed=1)
    metric = PSNR()
    metric.update_state(real, predicted, sample_weight=weight)
    errors = np.mean((real - predicted) ** 2, axis=(1, 2, 3, 4))
    expected = -10 * np.log10((errors[0] + 3 * errors[2]) / 4)
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_gain_compares_the_errors_of_all_clips():
    real, predicted = frames(5), frames(5, seed=1)
    previous = 0.5 * frames(5, seed=2)
    metric = PSNRGain()
    for part in (slice(0, 4), slice(4, 5)):
        metric.update_state(real[part], predicted[part], previous[part])
    gained = psnr(real, predicted) - psnr(real, previous)
    assert float(metric.result()) == pytest.approx(gained, abs=1e-4)


@pytest.mark.parametrize("metric_class", (PSNR, PSNRGain))
def test_quality_of_nothing_is_not_a_number(metric_class):
    metric = metric_class()
    assert np.isnan(float(metric.result()))
    parts = [frames(1)] * (2 if metric_class is PSNR else 3)
    metric.update_state(*parts, sample_weight=[0.0])
    assert np.isnan(float(metric.result()))


def test_weights_below_one_in_all_leave_the_quality_as_it_is():
    metric = PSNR()
    metric.update_state(np.zeros((1, 4)), np.full((1, 4), 0.1), sample_weight=[0.1])
    assert float(metric.result()) == pytest.approx(20)


def test_gain_of_still_clips_is_zero():
    metric = PSNRGain()
    metric.update_state(frames(1), frames(1), frames(1))
    assert float(metric.result()) == 0


@pytest.mark.parametrize("metric_class", (PSNR, PSNRGain))
def test_metrics_survive_a_file(metric_class):
    metric = metric_class(name="quality")
    config = keras.saving.serialize_keras_object(metric)
    clone = keras.saving.deserialize_keras_object(config)
    assert type(clone) is metric_class and clone.name == "quality"


def test_psnr_of_numpy_arrays():
    assert psnr(np.zeros((4, 4)), np.full((4, 4), 0.01)) == pytest.approx(40)
    assert psnr(np.ones((4, 4)), np.ones((4, 4))) == 100


def test_copy_last_prediction_is_the_frame_before():
    clips = frames(2)
    np.testing.assert_array_equal(copy_last_prediction(clips), clips[:, :1])


def test_no_filter_beats_the_ceiling():
    rng = np.random.default_rng(3)
    clips = rng.random((2, 3, 12, 14, 3))
    clips[:, 1:] = 0.6 * clips[:, 1:] + 0.4 * np.roll(clips[:, :-1], 1, axis=3)
    best = least_squares_prediction(clips, 3)
    target = clips[:, 1:, 1:-1, 1:-1]
    ceiling = np.mean((best - target) ** 2, axis=(2, 3, 4))
    identity = np.zeros((3, 3))
    identity[1, 1] = 1
    for kernel in (identity, *(identity + 0.2 * rng.standard_normal((40, 3, 3)))):
        for n, t in np.ndindex(2, 2):
            filtered = correlate(clips[n, t], kernel[..., None])[1:-1, 1:-1]
            assert np.mean((filtered - target[n, t]) ** 2) > ceiling[n, t]


def test_ceiling_finds_the_filter_that_made_the_frame():
    kernel = np.random.default_rng(4).standard_normal((3, 3))
    first = np.random.default_rng(5).random((10, 11, 3))
    clips = np.stack([first, correlate(first, kernel[..., None])])[None]
    best = least_squares_prediction(clips, 3)
    assert best.shape == (1, 1, 8, 9, 3)
    np.testing.assert_allclose(best[0, 0], clips[0, 1, 1:-1, 1:-1], atol=1e-8)


def test_ceiling_of_a_constant_clip_is_exact():
    clips = np.full((1, 2, 8, 8, 3), 0.25)
    best = least_squares_prediction(clips, 5)
    np.testing.assert_allclose(best, 0.25, atol=1e-9)


def test_ceiling_of_an_even_kernel_raises():
    with pytest.raises(ValueError, match="`kernel_size` must be odd"):
        least_squares_prediction(frames(1), 4)


def test_clips_of_weight_zero_do_not_count():
    real, predicted, previous = frames(3), frames(3, seed=1), frames(3, seed=2)
    weight = np.array([1.0, 0.0, 2.0], "float32")
    repeated = [0, 2, 2]
    whole, weighted = PSNR(), PSNR()
    whole.update_state(real[repeated], predicted[repeated])
    weighted.update_state(real, predicted, weight)
    assert float(weighted.result()) == pytest.approx(float(whole.result()), rel=1e-5)
    whole, weighted = PSNRGain(), PSNRGain()
    arguments = (real, predicted, previous)
    whole.update_state(*(part[repeated] for part in arguments))
    weighted.update_state(*arguments, weight)
    assert float(weighted.result()) == pytest.approx(float(whole.result()), rel=1e-4)
