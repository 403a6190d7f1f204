import re

import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.layers import AveragePool3D, MaxPool3D
from tests import oracles
from tests.helpers import check_layer

FORMS = ("native", "planar")
CASES = [
    # pool size, strides, padding, frames and space
    ((3, 3, 3), (2, 2, 2), (1, 1, 1), (4, 7, 8)),
    ((3, 3, 3), (2, 2, 2), (1, 1, 1), (5, 6, 9)),
    ((2, 2, 2), (2, 2, 2), (0, 0, 0), (4, 6, 8)),
    ((1, 2, 2), (1, 2, 2), (0, 0, 0), (3, 6, 7)),
    ((3, 1, 1), (1, 1, 1), (1, 0, 0), (4, 3, 3)),
    ((4, 3, 2), (1, 2, 3), (2, 1, 1), (5, 6, 7)),
]


def random(shape):
    # Negative values too: zero padding of a maximum would show.
    return np.random.default_rng(0).standard_normal(shape).astype("float32") - 1


def reduction(pool):
    return (np.max, -np.inf) if pool is MaxPool3D else (np.mean, 0)


@pytest.mark.parametrize("pool", (MaxPool3D, AveragePool3D))
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("size", "strides", "padding", "shape"), CASES)
def test_outputs_equal_the_definition(pool, form, size, strides, padding, shape):
    inputs = random((2, *shape, 3))
    layer = pool(size, strides=strides, padding=padding, form=form)
    expected = oracles.pool3d(inputs, size, strides, padding, *reduction(pool))
    np.testing.assert_allclose(layer(inputs), expected, atol=1e-6)


@pytest.mark.parametrize("pool", (MaxPool3D, AveragePool3D))
def test_gradients_of_the_forms_are_equal(pool):
    inputs = tf.constant(random((2, 4, 7, 8, 3)))
    gradients = []
    for form in FORMS:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = pool(3, strides=2, padding=1, form=form)(inputs)
            total = tf.reduce_sum(tf.square(outputs))
        gradients.append(tape.gradient(total, inputs))
    np.testing.assert_allclose(*gradients, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_padding_is_that_of_pytorch(form):
    functional = pytest.importorskip("torch.nn.functional")
    torch = pytest.importorskip("torch")
    inputs = random((2, 5, 6, 7, 3))
    channels_first = torch.from_numpy(inputs.transpose(0, 4, 1, 2, 3).copy())
    for pool, reference in (
        (MaxPool3D, functional.max_pool3d),
        (AveragePool3D, functional.avg_pool3d),
    ):
        expected = reference(channels_first, 3, stride=2, padding=1)
        outputs = pool(3, strides=2, padding=1, form=form)(inputs)
        np.testing.assert_allclose(
            outputs, expected.numpy().transpose(0, 2, 3, 4, 1), atol=1e-6
        )


@pytest.mark.parametrize("pool", (MaxPool3D, AveragePool3D))
def test_is_a_sound_layer(pool, tmp_path):
    arguments = {"pool_size": 3, "strides": (2, 2, 2), "padding": 1}
    check_layer(pool, arguments, random((2, 4, 6, 7, 3)), tmp_path)


@pytest.mark.parametrize("pool", (MaxPool3D, AveragePool3D))
def test_wrong_arguments_raise(pool):
    message = "`padding` must be from 0 to half of `pool_size`"
    with pytest.raises(ValueError, match=re.escape(message)):
        pool(3, padding=2)
    with pytest.raises(ValueError, match="`strides` must be at least 1"):
        pool(3, strides=0)
    with pytest.raises(ValueError, match="`form` must be one of"):
        pool(2, form="stacked")
