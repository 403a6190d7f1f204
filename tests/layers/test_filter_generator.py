import numpy as np
import pytest

from keras_dynamonet.layers import (
    FilterForecaster,
    FrameFilterGenerator,
    PooledFilterGenerator,
)
from tests.helpers import check_layer, randomise_weights


def random(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def test_generators_start_at_the_identity():
    pooled = PooledFilterGenerator(4, 3)(random((2, 16)))
    by_frame = FrameFilterGenerator(4, 3)(random((2, 2, 5, 5, 8)))
    assert pooled.shape == by_frame.shape == (2, 4, 3, 3, 1)
    assert not np.any(pooled) and not np.any(by_frame)


def test_forecaster_starts_with_the_last_motion():
    motion = random((2, 7, 3, 3, 1))
    forecast = FilterForecaster(3)(motion)
    np.testing.assert_allclose(forecast, motion[:, -1:], atol=1e-6)
    assert not np.any(FilterForecaster(3)(0 * motion))


def test_pooled_generator_is_a_tenth_of_a_dense_layer():
    inputs = random((2, 16))
    generator = PooledFilterGenerator(4, 3, channels=3)
    generator.build(inputs.shape)
    randomise_weights(generator)
    kernel, bias = generator.get_weights()
    expected = 0.1 * (inputs @ kernel + bias).reshape(2, 4, 3, 3, 3)
    np.testing.assert_allclose(generator(inputs), expected, atol=1e-5)


def convolve_over_time(inputs, kernel, bias):
    padded = np.pad(inputs, [(0, 0), (1, 1), (0, 0)])
    frames = inputs.shape[1]
    return bias + sum(padded[:, i : i + frames] @ kernel[i] for i in range(3))


def test_frame_generator_equals_the_definition():
    inputs = random((2, 2, 5, 6, 8))
    generator = FrameFilterGenerator(6, 3, channels=3, units=10)
    generator.build(inputs.shape)
    randomise_weights(generator)
    hidden_kernel, hidden_bias, kernel, bias = generator.get_weights()
    pooled = np.concatenate([inputs.mean(axis=(2, 3)), inputs.max(axis=(2, 3))], -1)
    repeated = np.repeat(pooled, 3, axis=1)  # 2 feature frames, 6 filters
    hidden = np.maximum(convolve_over_time(repeated, hidden_kernel, hidden_bias), 0)
    expected = 0.1 * convolve_over_time(hidden, kernel, bias).reshape(2, 6, 3, 3, 3)
    np.testing.assert_allclose(generator(inputs), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("transitions", (2, 6))
def test_forecaster_equals_the_definition(transitions):
    motion = random((2, transitions, 3, 3, 1))
    forecaster = FilterForecaster(3, units=5, context=4)
    forecaster.build(motion.shape)
    randomise_weights(forecaster)
    weights = {
        weight.path.split("/", 1)[-1]: weight.numpy() for weight in forecaster.weights
    }
    recent = motion[:, -4:].reshape(2, -1)
    hidden = recent / 0.1 @ weights["hidden/kernel"] + weights["hidden/bias"]
    learned = (
        np.maximum(hidden, 0) @ weights["filters/kernel"] + weights["filters/bias"]
    )
    persistent = weights["persistence"] * motion[:, -1].reshape(2, 9)
    expected = (persistent + 0.1 * learned).reshape(2, 1, 3, 3, 1)
    np.testing.assert_allclose(forecaster(motion), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layer_class", "arguments", "shape"),
    [
        (PooledFilterGenerator, {"num_frames": 4, "channels": 3}, (2, 16)),
        (FrameFilterGenerator, {"num_frames": 4, "units": 8}, (2, 2, 5, 5, 8)),
        (FilterForecaster, {"units": 8, "context": 3}, (2, 5, 3, 3, 1)),
    ],
)
def test_is_a_sound_layer(layer_class, arguments, shape, tmp_path):
    check_layer(layer_class, {"kernel_size": 3, **arguments}, random(shape), tmp_path)


@pytest.mark.parametrize(
    ("layer_class", "arguments"),
    [
        (PooledFilterGenerator, {"num_frames": 4}),
        (FrameFilterGenerator, {"num_frames": 4}),
        (FilterForecaster, {}),
    ],
)
def test_even_sizes_raise(layer_class, arguments):
    with pytest.raises(ValueError, match="`kernel_size` must be odd"):
        layer_class(kernel_size=4, **arguments)


def test_frames_that_do_not_divide_raise():
    with pytest.raises(ValueError, match="must be a multiple of the frames"):
        FrameFilterGenerator(5)(random((2, 2, 4, 4, 8)))
