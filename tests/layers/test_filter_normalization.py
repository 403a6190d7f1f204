import numpy as np
import pytest

from keras_dynamonet.layers import FilterNormalization
from tests.helpers import check_layer


def random(shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def identity(size):
    kernel = np.zeros((size, size, 1))
    kernel[size // 2, size // 2] = 1
    return kernel


def test_none_adds_the_identity():
    motion = random((2, 3, 5, 5, 3))
    np.testing.assert_allclose(
        FilterNormalization("none")(motion), identity(5) + motion, atol=1e-6
    )


def test_sum_to_one_keeps_the_brightness():
    motion = random((2, 3, 5, 5, 3))
    filters = FilterNormalization("sum_to_one")(motion)
    expected = identity(5) + motion - motion.mean(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(filters, expected, atol=1e-6)
    np.testing.assert_allclose(np.sum(filters, axis=(2, 3)), 1, atol=1e-5)


@pytest.mark.parametrize("size", (1, 3, 5))
def test_softmax_starts_near_the_identity(size):
    filters = FilterNormalization("softmax")(np.zeros((1, 1, size, size, 1)))
    centre = float(filters[0, 0, size // 2, size // 2, 0])
    assert centre == pytest.approx(1 if size == 1 else 0.98)


def test_softmax_equals_the_definition():
    motion = random((2, 3, 3, 3, 3))
    filters = FilterNormalization("softmax")(motion)
    # With G = 0 the centre holds 0.98 of the weight and 8 neighbours the rest.
    odds = np.exp(motion) * np.where(identity(3) == 1, 0.98, 0.02 / 8)
    expected = odds / odds.sum(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(filters, expected, atol=1e-6)


@pytest.mark.parametrize("mode", ("none", "sum_to_one", "softmax"))
def test_is_a_sound_layer(mode, tmp_path):
    check_layer(FilterNormalization, {"mode": mode}, random((2, 3, 5, 5, 1)), tmp_path)


def test_unknown_mode_raises():
    with pytest.raises(ValueError, match="`mode` must be one of"):
        FilterNormalization("batch")
