import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.layers import backend_ops
from tests import oracles
from tests.fresh_process import run_python


def random(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 2)])
@pytest.mark.parametrize("size", [(7, 8), (8, 7)])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (5, 3)])
def test_conv2d_pads_evenly_at_every_size_and_stride(strides, size, kernel):
    inputs, weights = random((2, *size, 4)), random((*kernel, 2, 6), 1)
    padding = tuple(length // 2 for length in kernel)
    outputs = backend_ops.conv2d(inputs, weights, strides, padding)
    # One frame is an image.
    expected = oracles.conv3d(inputs[:, None], weights[None], (1, *strides), groups=2)
    np.testing.assert_allclose(outputs, expected[:, 0], rtol=1e-5, atol=1e-4)


def test_conv3d_without_padding_keeps_the_inner_positions():
    inputs, weights = random((1, 4, 6, 6, 3)), random((3, 3, 3, 3, 4), 1)
    outputs = backend_ops.conv3d(inputs, weights, (1, 1, 1), (0, 0, 0))
    expected = oracles.conv3d(inputs, weights)[:, 1:-1, 1:-1, 1:-1]
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-4)


def test_batch_normalise_returns_the_biased_variance():
    inputs = random((2, 3, 4, 5, 6))
    gamma, beta = random((6,), 1), random((6,), 2)
    outputs, mean, variance = backend_ops.batch_normalise(inputs, gamma, beta, 1e-3)
    flat = inputs.reshape(-1, 6).astype("float64")
    np.testing.assert_allclose(mean, flat.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(variance, flat.var(axis=0), atol=1e-5)
    expected = oracles.batch_norm(
        inputs, flat.mean(axis=0), flat.var(axis=0), gamma, beta, 1e-3
    )
    np.testing.assert_allclose(outputs, expected, atol=1e-4)


def test_gpu_is_visible_agrees_with_tensorflow():
    tf = pytest.importorskip("tensorflow")
    assert backend_ops.gpu_is_visible() == bool(tf.config.list_physical_devices("GPU"))


@pytest.mark.parametrize("told", (True, False))
def test_kernels_without_onednn_are_known(told):
    module = "tensorflow.python.util._pywrap_util_port"
    lines = (
        "import sys, tensorflow",
        # Without it there is the attempt to compute a gradient.
        "" if told else f"sys.modules['{module}'] = None",
        "from keras_dynamonet.layers import backend_ops",
        "print(backend_ops.cpu_kernels())",
    )
    assert run_python("-c", "\n".join(lines), onednn=False) == "tensorflow_eigen\n"


def test_crop_takes_a_range_and_passes_the_gradient_to_it_alone():
    inputs = tf.constant(np.arange(24.0).reshape(2, 4, 3))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        part = backend_ops.crop(inputs, axis=1, start=1, stop=3)
    np.testing.assert_array_equal(part, inputs.numpy()[:, 1:3])
    expected = np.zeros((2, 4, 3))
    expected[:, 1:3] = 1.0
    np.testing.assert_array_equal(tape.gradient(part, inputs), expected)
