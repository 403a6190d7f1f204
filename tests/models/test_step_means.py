import numpy as np
import pytest

from keras_dynamonet.models.step_means import clip_weight, weighted_mean
from tests.models.samples import random_clips, tiny_dynamonet


def test_clips_weigh_alike_unless_told():
    clips = np.zeros((3, 2, 4, 4, 3), "float32")
    assert np.asarray(clip_weight(clips)).tolist() == [1, 1, 1]
    assert np.asarray(clip_weight(clips, [[2], [0], [1]])).tolist() == [2, 0, 1]


def test_mean_over_clips_of_means_over_pixels():
    values = np.array([[1.0, 3.0], [9.0, 9.0], [4.0, 6.0]], "float32")
    weight = np.array([1.0, 0.0, 1.0], "float32")
    assert float(weighted_mean(values, weight)) == 3.5
    assert float(weighted_mean(values[:, 0], weight)) == 2.5
    assert float(weighted_mean(values, np.zeros(3, "float32"))) == 0


def test_clips_of_weight_zero_change_no_loss_and_no_metric():
    """Validation fills its last step up with such clips."""
    model = tiny_dynamonet()
    model.compile("sgd", run_eagerly=True)
    clips, labels = random_clips(), np.array([0, -1, 2, 1])
    expected = model.evaluate(
        clips[:3], labels[:3], batch_size=2, return_dict=True, verbose=0
    )
    found = model.evaluate(
        clips,
        labels,
        sample_weight=np.array([1.0, 1.0, 1.0, 0.0]),
        batch_size=2,
        return_dict=True,
        verbose=0,
    )
    assert found == pytest.approx(expected, rel=1e-5)
