import itertools
import re

import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.layers import DynamicMotionFilter, FilterSolver
from keras_dynamonet.layers.linear_solvers import conjugate_gradient, newton
from tests.helpers import check_layer

METHODS = ("cholesky", "newton", "conjugate_gradient")


def textured_frames(shape, seed=0):
    """Noise blurred a little: neighbours are alike, as in pictures."""
    batch, frames, height, width, channels = shape
    rng = np.random.default_rng(seed)
    noise = rng.random((batch, frames, height + 1, width + 1, channels))
    blurred = noise[:, :, 1:] + noise[:, :, :-1]
    blurred = blurred[:, :, :, 1:] + blurred[:, :, :, :-1]
    return (blurred / 4).astype("float32")


def shifted_frames(dy, dx, count=3, size=24):
    """A picture that moves by whole pixels a frame, with new ones coming in."""
    rim = 2 * count + 4
    grey = textured_frames((1, 1, size + 2 * rim, size + 2 * rim, 1))[0, 0]
    scene = grey * np.array([1.0, 0.8, 0.6], "float32")
    starts = [(rim - dy * t, rim - dx * t) for t in range(count)]
    return np.stack([scene[y : y + size, x : x + size] for y, x in starts])[None]


def solve_one(source, target, kernel_size, ridge, stride):
    """Ridge regression of one transition from its definition, row by row."""
    rim, rows, changes = kernel_size // 2, [], []
    height, width, channels = source.shape
    positions = itertools.product(
        range(rim, height - rim, stride), range(rim, width - rim, stride)
    )
    for (y, x), c in itertools.product(positions, range(channels)):
        window = source[y - rim : y + rim + 1, x - rim : x + rim + 1, c]
        rows.append(window.reshape(-1))
        changes.append(target[y, x, c] - source[y, x, c])
    rows, changes = np.array(rows, "float64"), np.array(changes, "float64")
    weight = ridge * (np.mean(rows**2) + 1e-4) * len(rows)
    # Ridge as extra rows of an ordinary least-squares problem.
    rows = np.vstack([rows, np.sqrt(weight) * np.eye(kernel_size**2)])
    changes = np.concatenate([changes, np.zeros(kernel_size**2)])
    kernel = np.linalg.lstsq(rows, changes, rcond=None)[0]
    return kernel.reshape(kernel_size, kernel_size)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stride", (1, 2))
@pytest.mark.parametrize("colours", ("luminance", "shared", "per_channel"))
def test_filters_equal_least_squares(method, stride, colours):
    frames = textured_frames((2, 3, 12, 13, 3))
    solver = FilterSolver(
        3,
        ridge=1e-3,
        sample_stride=stride,
        luminance=colours == "luminance",
        per_channel=colours == "per_channel",
        method=method,
    )
    filters = solver(frames).numpy()
    samples = {
        "luminance": [frames.mean(axis=-1, keepdims=True)],
        "shared": [frames],
        "per_channel": [frames[..., c : c + 1] for c in range(3)],
    }[colours]
    assert filters.shape == (2, 2, 3, 3, len(samples))
    for group, clip, t in itertools.product(range(len(samples)), range(2), range(2)):
        source, target = samples[group][clip, t : t + 2]
        expected = solve_one(source, target, 3, 1e-3, stride)
        np.testing.assert_allclose(filters[clip, t, ..., group], expected, atol=1e-3)


@pytest.mark.parametrize("method", ("cholesky", "newton"))
def test_filters_of_alike_neighbours_keep_the_digits_of_float32(method):
    # A random walk along both axes has the spectrum of pictures: between its pixels,
    # the condition is 5e4.
    steps = np.random.default_rng(0).normal(size=(48, 48))
    walk = np.cumsum(np.cumsum(steps, axis=0), axis=1)
    scene = 0.5 + 0.2 * walk / np.abs(walk).max()
    frames = np.stack([scene[1:, 1:], scene[:-1, :-1]])[None, ..., None]
    frames = frames.astype("float32")
    filters = np.array(FilterSolver(5, sample_stride=1, method=method)(frames))
    expected = solve_one(frames[0, 0], frames[0, 1], 5, 5e-4, 1)
    np.testing.assert_allclose(filters[0, 0, ..., 0], expected, atol=3e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("dy", "dx"), [(0, 0), (0, 1), (-1, 0), (2, -2), (-2, 1), (2, 2), (-2, -2)]
)
def test_whole_shifts_are_recovered_to_40_db(method, dy, dx):
    frames = shifted_frames(dy, dx)
    identity = np.zeros((5, 5, 1), "float32")
    identity[2, 2] = 1
    filters = identity + FilterSolver(5, method=method)(frames)
    predicted = DynamicMotionFilter()([frames[:, :-1], filters]).numpy()
    error = (predicted - frames[:, 1:])[:, :, 2:-2, 2:-2]
    assert -10 * np.log10(np.mean(error**2) + 1e-12) >= 40
    peak = np.unravel_index(np.argmax(filters[0, 0]), (5, 5))
    assert peak == (2 - dy, 2 - dx)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", (0.0, 0.5, 1.0))
def test_constant_frames_give_zero(method, level):
    filters = FilterSolver(5, method=method)(np.full((1, 3, 12, 12, 3), level))
    np.testing.assert_array_equal(filters, np.zeros((1, 2, 5, 5, 1)))


@pytest.mark.parametrize("method", METHODS)
def test_a_cut_to_and_from_black_stays_finite(method):
    frames = textured_frames((1, 3, 12, 12, 3))
    frames[:, 1] = 0
    filters = FilterSolver(5, method=method)(frames).numpy()
    assert np.isfinite(filters).all()
    # From black nothing can be made by a filter.
    np.testing.assert_allclose(filters[:, 1], 0, atol=1e-6)


def test_the_methods_agree_on_smooth_pictures():
    y, x = np.mgrid[:32, :32] / 32
    picture = 0.5 + 0.3 * np.sin(5 * x + 3 * y)
    frames = np.stack([picture, np.roll(picture, 1, axis=1)])[None, ..., None]
    frames = np.repeat(frames, 3, axis=-1).astype("float32")
    solved = {method: FilterSolver(5, method=method)(frames) for method in METHODS}
    for method in METHODS:
        np.testing.assert_allclose(solved[method], solved["cholesky"], atol=1e-3)


@pytest.mark.parametrize("solve", (newton, conjugate_gradient))
def test_sums_and_products_equal_numpy_solve(solve):
    rng = np.random.default_rng(0)
    root = rng.standard_normal((4, 6, 6))
    matrix = root @ root.transpose(0, 2, 1) + 0.5 * np.eye(6)
    target = rng.standard_normal((4, 6, 1))
    target[0] = 0  # a still picture
    solution = solve(tf.constant(matrix, "float32"), tf.constant(target, "float32"))
    np.testing.assert_allclose(solution, np.linalg.solve(matrix, target), atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_gradient_equals_finite_differences(method):
    solver = FilterSolver(3, ridge=1e-2, method=method)
    frames = tf.constant(textured_frames((1, 2, 8, 8, 1)))
    rng = np.random.default_rng(1)
    upstream = rng.standard_normal((1, 1, 3, 3, 1)).astype("float32")

    def total(frames):
        return tf.reduce_sum(solver(frames) * upstream)

    with tf.GradientTape() as tape:
        tape.watch(frames)
        value = total(frames)
    gradient = tape.gradient(value, frames).numpy()
    for _ in range(5):
        direction = rng.standard_normal(frames.shape).astype("float32")
        step = 1e-3
        slope = (
            total(frames + step * direction) - total(frames - step * direction)
        ) / (2 * step)
        exact = np.sum(gradient * direction)
        assert float(slope) == pytest.approx(exact, rel=0.02, abs=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_gradient_of_still_and_black_frames_is_finite(method):
    frames = tf.zeros((1, 3, 8, 8, 3))
    with tf.GradientTape() as tape:
        tape.watch(frames)
        total = tf.reduce_sum(tf.square(FilterSolver(3, method=method)(frames)))
    assert np.isfinite(tape.gradient(total, frames)).all()


@pytest.mark.parametrize("method", METHODS)
def test_is_a_sound_layer(method, tmp_path):
    arguments = {"kernel_size": 3, "method": method, "per_channel": True, "ridge": 0.01}
    frames = textured_frames((2, 3, 9, 8, 3))
    check_layer(FilterSolver, arguments, frames, tmp_path, float32_only=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 4}, "`kernel_size` must be odd. Received: kernel_size=4"),
        ({"ridge": 0}, "`ridge` must be positive. Received: ridge=0"),
        ({"sample_stride": 0}, "`sample_stride` must be at least 1"),
        ({"method": "lu"}, "`method` must be one of"),
    ],
)
def test_wrong_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        FilterSolver(**arguments)


@pytest.mark.parametrize("shape", [(1, 1, 8, 8, 3), (1, 2, 4, 8, 3)])
def test_clips_that_are_too_small_raise(shape):
    with pytest.raises(ValueError, match="at least 2 frames of at least 5 pixels"):
        FilterSolver(5)(np.zeros(shape, "float32"))
