"""The definitions of the layers in plain NumPy, loops and all, in float64.

They share no code with the library: a test compares the two.
"""

import itertools

import numpy as np


def conv3d(inputs, kernel, strides=(1, 1, 1), groups=1):
    """Grouped 3D convolution with `kernel // 2` zeros on every side."""
    outputs = None
    for tap, window in _conv_windows(inputs, kernel, strides):
        split = window.reshape(*window.shape[:-1], groups, -1)
        weights = kernel[tap].reshape(kernel.shape[3], groups, -1)
        term = np.einsum("nthwgc,cgf->nthwgf", split, weights)
        outputs = term if outputs is None else outputs + term
    return outputs.reshape(*outputs.shape[:-2], -1)


def conv3d_gradients(inputs, kernel, upstream, strides=(1, 1, 1), groups=1):
    """Gradients of `sum(upstream * conv3d(inputs, kernel))` to both arguments."""
    pads = [size // 2 for size in kernel.shape[:3]]
    padded = np.zeros(_padded_shape(inputs, pads))
    to_kernel = np.zeros(kernel.shape)
    up = upstream.reshape(*upstream.shape[:-1], groups, -1)
    for tap, window in _conv_windows(inputs, kernel, strides):
        split = window.reshape(*window.shape[:-1], groups, -1)
        weights = kernel[tap].reshape(kernel.shape[3], groups, -1)
        to_kernel[tap] = np.einsum("nthwgc,nthwgf->cgf", split, up).reshape(
            kernel.shape[3:]
        )
        share = np.einsum("nthwgf,cgf->nthwgc", up, weights)
        index = _window_index(tap, strides, upstream.shape[1:4])
        padded[index] += share.reshape(window.shape)
    inner = tuple(slice(p, p + n) for p, n in zip(pads, inputs.shape[1:4], strict=True))
    return padded[(slice(None), *inner)], to_kernel


def pool3d(inputs, size, strides, padding, reduce, fill):
    """A reduction over windows; the padding holds `fill`."""
    pads = [(0, 0), *((p, p) for p in padding), (0, 0)]
    padded = np.pad(inputs, pads, constant_values=fill)
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(1, 2, 3))
    windows = windows[:, :: strides[0], :: strides[1], :: strides[2]]
    return reduce(windows, axis=(-3, -2, -1))


def batch_norm(inputs, mean, variance, gamma, beta, epsilon):
    """Normalisation over the last axis with the given statistics."""
    return (inputs - mean) / np.sqrt(variance + epsilon) * gamma + beta


def relu(inputs):
    return np.maximum(inputs, 0)


def sigmoid(inputs):
    return 1 / (1 + np.exp(-inputs))


def filter_frames(frames, filters, mode="edge"):
    """Every frame correlated with its own kernel; `mode` is that of `np.pad`."""
    batch, count, height, width, channels = frames.shape
    rim = filters.shape[2] // 2
    outputs = np.empty(frames.shape)
    for n, t, c in itertools.product(range(batch), range(count), range(channels)):
        padded = np.pad(frames[n, t, :, :, c], rim, mode=mode)
        kernel = filters[n, t, :, :, min(c, filters.shape[-1] - 1)]
        for y, x in itertools.product(range(height), range(width)):
            window = padded[y : y + 2 * rim + 1, x : x + 2 * rim + 1]
            outputs[n, t, y, x, c] = np.sum(window * kernel)
    return outputs


def _padded_shape(inputs, pads):
    sizes = (n + 2 * p for n, p in zip(inputs.shape[1:4], pads, strict=True))
    return (inputs.shape[0], *sizes, inputs.shape[-1])


def _window_index(tap, strides, sizes):
    spans = (
        slice(offset, offset + (size - 1) * stride + 1, stride)
        for offset, size, stride in zip(tap, sizes, strides, strict=True)
    )
    return (slice(None), *spans)


def _conv_windows(inputs, kernel, strides):
    pads = [size // 2 for size in kernel.shape[:3]]
    padded = np.pad(inputs, [(0, 0), *((p, p) for p in pads), (0, 0)])
    sizes = [
        (n - 1) // stride + 1
        for n, stride in zip(inputs.shape[1:4], strides, strict=True)
    ]
    for tap in itertools.product(*(range(size) for size in kernel.shape[:3])):
        yield tap, padded[_window_index(tap, strides, sizes)]
