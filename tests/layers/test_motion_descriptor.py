import keras
import numpy as np
import pytest

from keras_dynamonet.layers import MotionDescriptor
from tests.helpers import check_layer, randomise_weights


def random(shape):
    return 0.1 * np.random.default_rng(0).standard_normal(shape).astype("float32")


def test_flatten_is_the_filters_of_all_frames_side_by_side():
    motion = random((2, 4, 3, 3, 3))
    descriptor = MotionDescriptor("flatten")(motion)
    # Fresh statistics: mean 0, variance 1.
    np.testing.assert_allclose(descriptor, motion.reshape(2, -1), atol=1e-6)


def test_taps_are_standardised_by_their_running_statistics():
    motion = 0.01 + random((64, 4, 3, 3, 1))
    layer = MotionDescriptor("flatten")
    for _ in range(100):  # The running variance starts at 1.
        layer(motion, training=True)
    taps = np.array(layer(motion)).reshape(-1, 9)
    np.testing.assert_allclose(taps.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(taps.std(axis=0), 1, atol=0.02)


def test_a_tap_that_never_varied_does_not_explode():
    layer = MotionDescriptor("flatten")
    for _ in range(200):
        layer(np.zeros((4, 2, 3, 3, 1), "float32"), training=True)
    assert np.abs(layer(10 * random((4, 2, 3, 3, 1)))).max() <= 10


def test_temporal_is_mean_and_maximum_of_two_convolutions():
    motion = random((2, 4, 3, 3, 1))
    layer = MotionDescriptor("temporal", units=6)
    layer.build(motion.shape)
    randomise_weights(layer)
    layer.standardize.moving_mean.assign(np.zeros(9))
    layer.standardize.moving_variance.assign(np.ones(9))
    taps = motion.reshape(2, 4, 9)
    for convolution in layer.convolutions:
        kernel, bias = convolution.get_weights()
        padded = np.pad(taps, [(0, 0), (1, 1), (0, 0)])
        taps = sum(padded[:, i : i + 4] @ kernel[i] for i in range(3)) + bias
        taps = np.maximum(taps, 0)
    expected = np.concatenate([taps.mean(axis=1), taps.max(axis=1)], axis=-1)
    np.testing.assert_allclose(layer(motion), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "arguments", [{"head": "flatten"}, {"head": "temporal", "units": 8}]
)
def test_is_a_sound_layer(arguments, tmp_path):
    check_layer(MotionDescriptor, arguments, random((2, 4, 3, 3, 1)), tmp_path)


def test_taps_are_standardised_in_full_precision():
    taps = (1 + 1e-4 * random((2, 4, 3, 3, 1))).astype("float32")
    outputs = []
    for dtype in ("float32", "mixed_bfloat16"):
        layer = MotionDescriptor("flatten", dtype=dtype)
        layer.build(taps.shape)
        layer.standardize.moving_mean.assign(np.ones(9))
        layer.standardize.moving_variance.assign(np.full(9, 1e-8))
        outputs.append(keras.ops.convert_to_numpy(layer(taps)).astype("float32"))
    assert np.abs(outputs[0]).max() > 0.1
    np.testing.assert_allclose(*outputs, rtol=1e-2, atol=1e-2)


def test_unknown_head_raises():
    with pytest.raises(ValueError, match="`head` must be one of"):
        MotionDescriptor("attention")
