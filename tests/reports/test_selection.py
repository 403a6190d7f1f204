import numpy as np

from keras_dynamonet.reports.selection import (
    surest_mistakes,
    typical_index,
    typical_successes,
)

PROBABILITIES = np.array(
    [
        [0.90, 0.05, 0.05],  # 0: right, surest
        [0.50, 0.30, 0.20],  # 0: right, least sure
        [0.70, 0.20, 0.10],  # 0: right, in the middle
        [0.10, 0.80, 0.10],  # 0 as 1
        [0.05, 0.90, 0.05],  # 0 as 1, surer
        [0.60, 0.10, 0.30],  # 2 as 0
        [0.20, 0.70, 0.10],  # 1: right
    ]
)
LABELS = np.array([0, 0, 0, 0, 0, 2, 1])


def test_successes_are_the_medians_and_skip_classes_without_any():
    assert typical_successes(PROBABILITIES, LABELS) == [2, 6]


def test_mistakes_are_surest_first_and_differ():
    assert surest_mistakes(PROBABILITIES, LABELS, 5) == [4, 5]
    assert surest_mistakes(PROBABILITIES, LABELS, 1) == [4]
    assert surest_mistakes(PROBABILITIES[:3], LABELS[:3], 5) == []


def test_of_two_middle_scores_the_lower_is_taken():
    scores = np.array([4.0, 1.0, 3.0, 2.0])
    assert typical_index(scores, np.arange(4)) == 3
    assert typical_index(scores, np.array([0, 2])) == 2
