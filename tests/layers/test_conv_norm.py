import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.layers import ConvNorm, VideoBatchNormalization
from tests import oracles
from tests.helpers import check_layer, randomise_weights

NEEDS_RENORM = pytest.mark.skipif(
    "renorm" not in inspect.signature(keras.layers.BatchNormalization).parameters,
    reason="this Keras has no such argument",
)


def random(shape, seed=0):
    rng = np.random.default_rng(seed)
    return (1 + 2 * rng.standard_normal(shape)).astype("float32")


def train_once(layer, inputs):
    """Output, gradients to input and weights, and moving statistics of one step."""
    upstream = random(inputs.shape, 1)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
        total = tf.reduce_sum(tf.cast(outputs, "float32") * upstream)
    sources = [inputs, *(weight.value for weight in layer.trainable_weights)]
    return [outputs, *tape.gradient(total, sources), *layer.non_trainable_weights]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"momentum": 0.9, "epsilon": 1e-5},
        {"epsilon": 1e-7},
        {"center": False, "scale": False},
        {"axis": 1},
        pytest.param({"renorm": True}, marks=NEEDS_RENORM),
    ],
)
def test_trains_like_keras_own_normalisation(arguments):
    inputs = tf.constant(random((3, 4, 5, 6, 7)))
    results = []
    for layer_class in (VideoBatchNormalization, keras.layers.BatchNormalization):
        layer = layer_class(**arguments)
        layer.build(inputs.shape)
        randomise_weights(layer)
        results.append(train_once(layer, inputs))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_small_variances_are_normalised_like_keras_own():
    # TensorFlow's fused kernel silently raises epsilon to 1.001e-5.
    inputs = 1e-3 * random((3, 4, 5, 6, 7))
    ours = VideoBatchNormalization(epsilon=1e-8)(inputs, training=True)
    theirs = keras.layers.BatchNormalization(epsilon=1e-8)(inputs, training=True)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_trains_in_bfloat16_with_float32_statistics():
    inputs = tf.constant(random((3, 4, 5, 6, 7)))
    results = []
    for dtype in ("mixed_bfloat16", "float32"):
        layer = VideoBatchNormalization(dtype=dtype)
        layer.build(inputs.shape)
        results.append(train_once(layer, tf.cast(inputs, layer.compute_dtype)))
    assert results[0][0].dtype == tf.bfloat16
    for half, single in zip(*results, strict=True):
        half, single = tf.cast(half, "float32"), tf.convert_to_tensor(single)
        scale = np.abs(single).max()
        np.testing.assert_allclose(half, single, atol=0.02 * scale)


def test_frozen_or_inferring_layer_uses_and_keeps_the_moving_statistics():
    inputs = random((2, 3, 4, 5, 6))
    layer = VideoBatchNormalization()
    layer.build(inputs.shape)
    randomise_weights(layer)
    gamma, beta, mean, variance = weights = layer.get_weights()
    expected = oracles.batch_norm(inputs, mean, variance, gamma, beta, layer.epsilon)
    np.testing.assert_allclose(layer(inputs, training=False), expected, atol=1e-4)
    layer.trainable = False
    np.testing.assert_allclose(layer(inputs, training=True), expected, atol=1e-4)
    for before, after in zip(weights, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_normalisation_is_a_sound_layer(tmp_path):
    check_layer(
        VideoBatchNormalization, {"momentum": 0.8}, random((2, 3, 4, 5, 6)), tmp_path
    )


@pytest.mark.parametrize("activation", (True, False))
def test_unit_is_convolution_normalisation_and_relu(activation):
    inputs = random((2, 3, 5, 6, 4))
    unit = ConvNorm(8, 3, strides=(1, 2, 2), groups=2, activation=activation)
    unit.build(inputs.shape)
    randomise_weights(unit)
    outputs = oracles.conv3d(inputs, unit.conv.kernel.numpy(), (1, 2, 2), 2)
    norm = unit.norm
    outputs = oracles.batch_norm(
        outputs,
        norm.moving_mean.numpy(),
        norm.moving_variance.numpy(),
        norm.gamma.numpy(),
        norm.beta.numpy(),
        1e-5,
    )
    expected = oracles.relu(outputs) if activation else outputs
    np.testing.assert_allclose(unit(inputs), expected, rtol=1e-4, atol=1e-4)


def test_folded_unit_computes_the_same_with_one_convolution():
    inputs = random((2, 3, 5, 6, 4))
    unit = ConvNorm(8, 3, groups=2)
    unit.build(inputs.shape)
    randomise_weights(unit)
    folded = ConvNorm.from_config({**unit.get_config(), "folded": True})
    folded.build(inputs.shape)
    kernel, bias = unit.folded_weights()
    folded.conv.set_weights([kernel, bias])
    assert len(folded.weights) == 2
    np.testing.assert_allclose(folded(inputs), unit(inputs), rtol=1e-4, atol=1e-4)
    for given, again in zip((kernel, bias), folded.folded_weights(), strict=True):
        np.testing.assert_array_equal(given, again)


def test_zero_gamma_starts_at_zero():
    unit = ConvNorm(4, 3, zero_gamma=True)
    assert not np.any(unit(random((1, 2, 4, 4, 4)), training=True))


@pytest.mark.parametrize("folded", (True, False))
def test_unit_is_a_sound_layer(folded, tmp_path):
    arguments = {"filters": 8, "kernel_size": 3, "groups": 2, "folded": folded}
    check_layer(ConvNorm, arguments, random((2, 3, 4, 5, 4)), tmp_path)


def test_wrong_arguments_raise():
    with pytest.raises(ValueError, match="`groups` must divide `filters`"):
        ConvNorm(8, 3, groups=3)
