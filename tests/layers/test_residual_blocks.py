import re

import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.layers import BasicBlock, BottleneckBlock
from tests import oracles
from tests.helpers import check_layer, randomise_weights

BOTTLENECK = {"width": 8, "expansion": 2, "groups": 4}
BASIC = {"width": 8}


def random(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def build(block_class, shape, **arguments):
    block = block_class(**arguments)
    block.build(shape)
    return randomise_weights(block)


def unit_oracle(unit, inputs, strides=(1, 1, 1), groups=1):
    outputs = oracles.conv3d(inputs, unit.conv.kernel.numpy(), strides, groups)
    gamma, beta, mean, variance = unit.norm.get_weights()
    return oracles.batch_norm(outputs, mean, variance, gamma, beta, 1e-5)


def test_bottleneck_equals_the_definition():
    inputs = random((2, 3, 5, 6, 4))
    block = build(BottleneckBlock, inputs.shape, **BOTTLENECK, strides=(1, 2, 2))
    reduce, grouped, expand = block.convolutions
    path = oracles.relu(unit_oracle(reduce, inputs))
    path = oracles.relu(unit_oracle(grouped, path, (1, 2, 2), groups=4))
    path = unit_oracle(expand, path)
    shortcut = unit_oracle(block.projection, inputs, (1, 2, 2))
    expected = oracles.relu(path + shortcut)
    np.testing.assert_allclose(block(inputs), expected, rtol=1e-4, atol=1e-4)


def test_basic_block_equals_the_definition():
    inputs = random((2, 4, 5, 6, 4))
    block = build(BasicBlock, inputs.shape, **BASIC, strides=2, shortcut="A")
    first, second = block.convolutions
    path = oracles.relu(unit_oracle(first, inputs, (2, 2, 2)))
    path = unit_oracle(second, path)
    # Type A: every second position, new channels are zeros.
    shortcut = np.zeros(path.shape)
    shortcut[..., :4] = inputs[:, ::2, ::2, ::2]
    expected = oracles.relu(path + shortcut)
    np.testing.assert_allclose(block(inputs), expected, rtol=1e-4, atol=1e-4)


def test_factorised_block_convolves_in_space_then_in_time():
    inputs = random((2, 4, 5, 6, 8))
    block = build(BasicBlock, inputs.shape, **BASIC, middle=(5, 6), strides=2)
    space1, time1, space2, time2 = block.convolutions
    kernels = [unit.conv.kernel.shape for unit in block.convolutions]
    assert kernels == [
        (1, 3, 3, 8, 5),
        (3, 1, 1, 5, 8),
        (1, 3, 3, 8, 6),
        (3, 1, 1, 6, 8),
    ]
    path = oracles.relu(unit_oracle(space1, inputs, (1, 2, 2)))
    path = oracles.relu(unit_oracle(time1, path, (2, 1, 1)))
    path = unit_oracle(time2, oracles.relu(unit_oracle(space2, path)))
    expected = oracles.relu(path + unit_oracle(block.projection, inputs, (2, 2, 2)))
    np.testing.assert_allclose(block(inputs), expected, rtol=1e-4, atol=1e-4)


def test_pre_activation_normalises_before_and_leaves_the_sum():
    inputs = random((2, 3, 4, 5, 16))
    block = build(BottleneckBlock, inputs.shape, **BOTTLENECK, pre_activation=True)
    gamma, beta, mean, variance = block.norm.get_weights()
    path = oracles.relu(oracles.batch_norm(inputs, mean, variance, gamma, beta, 1e-5))
    reduce, grouped, expand = block.convolutions
    path = oracles.relu(unit_oracle(reduce, path))
    path = oracles.relu(unit_oracle(grouped, path, groups=4))
    expected = inputs + oracles.conv3d(path, expand.conv.kernel.numpy())
    np.testing.assert_allclose(block(inputs), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("block_class", "arguments"), [(BottleneckBlock, BOTTLENECK), (BasicBlock, BASIC)]
)
def test_shortcut_of_an_unchanged_shape_is_the_input(block_class, arguments):
    channels = 16 if block_class is BottleneckBlock else 8
    inputs = random((2, 3, 4, 5, channels))
    block = block_class(**arguments, zero_gamma=True)
    np.testing.assert_array_equal(block(inputs), oracles.relu(inputs))
    assert block.projection is None


def test_type_a_has_no_weights_and_passes_no_gradient():
    inputs = tf.constant(random((2, 4, 4, 4, 4)))
    block = BasicBlock(**BASIC, strides=2, shortcut="A", zero_gamma=True)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(block(inputs))
    # With a zero gamma the convolutions pass none either.
    assert not np.any(tape.gradient(total, inputs))
    assert not any("projection" in weight.path for weight in block.weights)


def test_stc_scales_the_convolutions_but_not_the_shortcut():
    inputs = random((2, 3, 4, 5, 16))
    block = build(BottleneckBlock, inputs.shape, **BOTTLENECK, stc_ratio=4)
    plain = BottleneckBlock(**BOTTLENECK)
    plain.build(inputs.shape)
    for unit, source in zip(plain.convolutions, block.convolutions, strict=True):
        unit.set_weights(source.get_weights())
    reduce, grouped, expand = plain.convolutions
    path = expand(grouped(reduce(inputs)))
    expected = oracles.relu(block.stc(path).numpy() + inputs)
    np.testing.assert_allclose(block(inputs), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("block_class", "arguments"),
    [
        (BottleneckBlock, {**BOTTLENECK, "strides": (1, 2, 2), "stc_ratio": 2}),
        (BottleneckBlock, {**BOTTLENECK, "folded": True, "form": "merged"}),
        (BasicBlock, {**BASIC, "strides": 2, "shortcut": "A", "groups": 2}),
        (BasicBlock, {**BASIC, "middle": (5, 6), "pre_activation": True}),
        (BottleneckBlock, {**BOTTLENECK, "kernel_size": (1, 3, 3), "middle": (12,)}),
    ],
)
def test_is_a_sound_layer(block_class, arguments, tmp_path):
    check_layer(block_class, arguments, random((2, 4, 6, 5, 4)), tmp_path)


@pytest.mark.parametrize(
    ("block_class", "arguments", "message"),
    [
        (BottleneckBlock, {**BOTTLENECK, "shortcut": "C"}, "`shortcut` must be one of"),
        (
            BottleneckBlock,
            {**BOTTLENECK, "groups": 3},
            "`groups` must divide `filters`. Received: groups=3, filters=8",
        ),
        (
            BottleneckBlock,
            {**BOTTLENECK, "zero_gamma": True, "pre_activation": True},
            "`zero_gamma` sets the last normalisation",
        ),
        (
            BasicBlock,
            {**BASIC, "expansion": 2},
            "`expansion` of a basic block must be 1. Received: 2",
        ),
    ],
)
def test_wrong_arguments_raise(block_class, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        block_class(**arguments)


def test_type_a_cannot_take_channels_away():
    message = "Shortcut 'A' only adds channels. Received: 16 channels for a block of 8"
    with pytest.raises(ValueError, match=re.escape(message)):
        BasicBlock(**BASIC, shortcut="A")(random((1, 2, 4, 4, 16)))
