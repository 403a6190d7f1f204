"""Several filters a transition, and the pixels that they move."""

import re

import numpy as np
import pytest

from keras_dynamonet.layers import FilterSolver, SegmentSolver
from keras_dynamonet.layers.filter_solver import weighted_sums
from tests.helpers import check_layer
from tests.layers.test_filter_solver import solve_one, textured_frames

SIZE = 40
SIDE = 16


def square_before_still_background(dy, dx, count=3):
    """A textured square that moves, and where it is: `(1, count, SIZE, SIZE, 3)`."""
    background = textured_frames((1, 1, SIZE, SIZE, 1), seed=1)[0, 0]
    square = textured_frames((1, 1, SIDE, SIDE, 1), seed=2)[0, 0]
    frames, places = [], []
    for t in range(count):
        y, x = 8 + dy * t, 8 + dx * t
        place = np.zeros((SIZE, SIZE), bool)
        place[y : y + SIDE, x : x + SIDE] = True
        frame = background.copy()
        frame[y : y + SIDE, x : x + SIDE] = square
        frames.append(np.repeat(frame, 3, axis=-1))
        places.append(place)
    return np.array(frames, "float32")[None], np.array(places)


def test_segments_are_the_background_and_what_moves():
    clip, places = square_before_still_background(1, 2)
    solver = SegmentSolver(5, ridge=1e-4)
    solver.build(clip.shape)
    equations, shares = solver.segment(clip)
    still, moving = np.moveaxis(np.array(solver.solve(equations, 1e-4)), -1, 0)
    assert np.abs(still).max() < 0.1
    identity_moved = np.zeros((5, 5))
    identity_moved[2, 2] = -1
    # The pixel now seen here was one row above and two columns to the left.
    identity_moved[1, 0] = 1
    np.testing.assert_allclose(moving[0, 0], identity_moved, atol=0.3)
    shares = np.array(shares)
    np.testing.assert_allclose(shares.sum(axis=-1), 1, atol=1e-5)
    inside = shares[0, 0, ..., 1][places[0] & places[1]]
    outside = shares[0, 0, ..., 1][~(places[0] | places[1])]
    assert inside.mean() > 0.85
    assert outside.mean() < 0.15


def test_one_filter_for_all_is_worse():
    clip, _ = square_before_still_background(1, 2)
    shared = np.array(FilterSolver(5)(clip))[0, 0, :, :, 0]
    parts = np.array(SegmentSolver(5)(clip))[0, 0, :, :, 1]
    assert shared[1, 0] < 0.5 < parts[1, 0]


def test_filters_of_given_shares_equal_weighted_least_squares():
    frames = textured_frames((1, 2, 12, 13, 1))
    solver = SegmentSolver(3, ridge=0.01, sample_stride=1, rounds=1)
    solver.build(frames.shape)
    neighbours, change, offset = solver.samples(frames)
    # Weights of 0 and 1 leave out rows of the ordinary problem: here, the lower half.
    weights = np.zeros((1, 10 * 11, 1), "float32")
    weights[:, :55] = 1
    matrix, target = weighted_sums(neighbours, change, offset, weights)
    # Means run over all samples: the pull is relative to them.
    coefficients = np.array(solver.solve_system(matrix, target, 0.01))[0]
    found = (solver.basis @ coefficients).reshape(3, 3)
    upper = frames[0, :, :7]
    rows = np.array(neighbours + offset)[0, :55]
    power = np.mean(rows**2)
    share = 0.5
    ridge = 0.01 * (share * power + 1e-4) / (share * (power + 1e-4))
    expected = solve_one(upper[0], upper[1], 3, ridge, 1)
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_still_and_black_clips_have_no_motion():
    clip = np.repeat(textured_frames((1, 1, 12, 12, 3)), 3, axis=1)
    for frames in (clip, np.zeros_like(clip)):
        np.testing.assert_allclose(SegmentSolver(3)(frames), 0, atol=1e-6)


def test_layer_contract(tmp_path):
    arguments = {"kernel_size": 3, "segments": 3, "rounds": 2}
    inputs = textured_frames((2, 3, 12, 12, 3))
    check_layer(SegmentSolver, arguments, inputs, tmp_path, float32_only=True)


@pytest.mark.parametrize("arguments", [{"segments": 1}, {"rounds": 0}])
def test_wrong_arguments_raise(arguments):
    message = "There must be at least 2 `segments` and 1 of the `rounds`."
    with pytest.raises(ValueError, match=re.escape(message)):
        SegmentSolver(**arguments)


@pytest.mark.parametrize("name", ["per_channel", "luminance"])
def test_options_of_one_filter_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` is not for segments"):
        SegmentSolver(5, **{name: True})
