import numpy as np
import pytest
from scipy.stats import binomtest

from keras_dynamonet.training.scores import (
    Accuracy,
    average_by_video,
    confusion_matrix,
    top_k_accuracy,
)


@pytest.mark.parametrize(("correct", "total"), [(0, 5), (5, 5), (13, 40)])
def test_interval_is_wilsons(correct, total):
    expected = binomtest(correct, total).proportion_ci(0.95, method="wilson")
    assert Accuracy(correct, total).interval == pytest.approx(expected)


def test_json_holds_value_interval_and_counts():
    document = Accuracy(3, 4).to_json()
    assert document["value"] == 0.75
    assert (document["correct"], document["total"]) == (3, 4)
    assert document["low"] < 0.75 < document["high"]


def test_views_are_averaged_whatever_their_order():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.0, 1.0]])
    videos, means = average_by_video(probabilities, np.array([4, 1, 4, 1]))
    assert videos.tolist() == [1, 4]
    np.testing.assert_allclose(means, [[0.1, 0.9], [0.6, 0.4]])


def test_top_k():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3]])
    labels = np.array([1, 0, 2])
    assert top_k_accuracy(probabilities, labels, 1).correct == 0
    assert top_k_accuracy(probabilities, labels, 2).correct == 1
    assert top_k_accuracy(probabilities, labels, 5) == Accuracy(3, 3)


def test_a_constant_output_scores_no_better_than_chance():
    even = np.full((6, 3), 1 / 3)
    assert top_k_accuracy(even, np.array([0, 1, 2, 0, 1, 2]), 1) == Accuracy(2, 6)


def test_confusion_counts_true_rows_and_predicted_columns():
    counts = confusion_matrix(np.array([0, 2, 2]), np.array([1, 2, 0]), 3)
    assert counts.tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 1]]
