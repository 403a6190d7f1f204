import numpy as np
import pytest

from keras_dynamonet.layers import STCBlock
from tests import oracles
from tests.helpers import check_layer, randomise_weights


def random(shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def test_outputs_equal_the_definition():
    inputs = random((2, 3, 4, 5, 8))
    block = STCBlock(ratio=4)
    block.build(inputs.shape)
    randomise_weights(block)

    def gate(squeezed, reduce, expand):
        kernel, bias = reduce.get_weights()
        hidden = oracles.relu(squeezed @ kernel + bias)
        kernel, bias = expand.get_weights()
        return oracles.sigmoid(hidden @ kernel + bias)[:, None, None, None]

    temporal = gate(
        inputs.mean(axis=(1, 2, 3)), block.temporal_reduce, block.temporal_gate
    )
    spatial = gate(
        inputs.mean(axis=(2, 3)).reshape(2, -1),
        block.spatial_reduce,
        block.spatial_gate,
    )
    expected = (inputs * temporal + inputs * spatial) / 2
    np.testing.assert_allclose(block(inputs), expected, atol=1e-5)


def test_weights_have_the_shapes_of_the_two_branches():
    block = STCBlock(ratio=4)
    block.build((None, 3, 4, 5, 8))
    # C -> C/r -> C over time and space, T*C -> T*C/r -> C over space.
    kernels = [w.shape for w in block.weights if w.path.endswith("kernel")]
    assert kernels == [(8, 2), (2, 8), (24, 6), (6, 8)]


def test_hidden_layer_keeps_one_unit_when_the_ratio_exceeds_the_channels():
    block = STCBlock(ratio=64)
    block.build((None, 3, 4, 5, 8))
    assert (block.temporal_reduce.units, block.spatial_reduce.units) == (1, 1)


def test_is_a_sound_layer(tmp_path):
    check_layer(STCBlock, {"ratio": 2}, random((2, 3, 4, 4, 8)), tmp_path)


def test_wrong_ratio_raises():
    with pytest.raises(ValueError, match="`ratio` must be at least 1"):
        STCBlock(ratio=0)
