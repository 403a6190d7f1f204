import numpy as np
import pytest

from keras_dynamonet.reports import (
    Bounds,
    Classification,
    Example,
    FilterComparison,
    FilterRow,
    FrameStrip,
    Loop,
)
from tests.reports import samples


def test_accuracy_and_chance():
    result = samples.classification()
    assert (result.correct, result.videos) == (33, 40)
    assert result.accuracy == 0.825
    assert result.chance == 0.25


def test_accuracy_up_to_direction_joins_opposites_only():
    # Of the 7 mistakes, 6 lie within a pair; one takes bow_back for rise.
    assert samples.classification().accuracy_up_to_direction == 39 / 40
    assert samples.classification(opposites=()).accuracy_up_to_direction is None


def test_confused_pairs_come_most_frequent_first():
    pairs = samples.classification().confused_pairs(10)
    assert pairs[:2] == [(1, 0, 3), (2, 3, 2)]
    assert sorted(pairs[2:]) == [(0, 1, 1), (3, 1, 1)]
    assert samples.classification().confused_pairs(1) == [(1, 0, 3)]


def test_share_of_way():
    assert Bounds(20.0, 21.0, 24.0).share_of_way == 0.25
    assert Bounds(20.0, 19.0, 24.0).share_of_way == -0.25
    assert Bounds(20.0, 21.0).share_of_way is None
    assert Bounds(20.0, 20.0, 20.0).share_of_way is None


def test_top_is_sorted_and_keeps_the_order_of_ties():
    example = Example(samples.loop(), ("a", "b", "c"), np.array([0.2, 0.6, 0.2]), 2)
    assert example.top(2) == [("b", 0.6), ("a", 0.2)]
    assert example.predicted_class == 1
    assert example.is_wrong
    assert not Example(samples.loop(), ("a",), np.array([1.0])).is_wrong


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Classification(["a"], np.ones((2, 2))), "one row and one column"),
        (lambda: Classification(["a"], np.zeros((1, 1))), "above zero"),
        (lambda: Classification(["a"], np.array([[-1]])), "must hold counts"),
        (
            lambda: Classification(["a"], np.ones((1, 1)), opposites=[(0, 1)]),
            "pairs of class indices",
        ),
        (
            lambda: FrameStrip(
                "",
                np.zeros((4, 4, 3)),
                np.zeros((4, 4, 3)),
                np.zeros((4, 5, 3)),
                Bounds(1, 2),
            ),
            "frames of one shape",
        ),
        (lambda: FilterRow("", np.zeros((3, 4, 4))), "odd kernel"),
        (lambda: FilterRow("", np.zeros((3, 3))), "odd kernel"),
        (
            lambda: FilterComparison("", [FilterRow("", np.zeros((3, 3, 3)))]),
            "two rows of filters",
        ),
        (lambda: Loop("", np.zeros((2, 4, 4, 3)), 12), "must be uint8"),
        (lambda: Loop("", np.zeros((0, 4, 4, 3), np.uint8), 12), "must be uint8"),
        (lambda: Loop("", np.zeros((2, 4, 4, 3), np.uint8), 0), "must be positive"),
        (lambda: Example(samples.loop(), ["a"], np.ones(2)), "one number a class"),
    ],
)
def test_wrong_contents_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
