import numpy as np
from scipy.special import softmax as scipy_softmax

from keras_dynamonet.training.probabilities import softmax, top_classes


def test_softmax_is_right_and_stable():
    logits = np.array([[1.0, 2.0, 3.0], [-1e4, 0.0, 1e4]], np.float32)
    found = softmax(logits)
    np.testing.assert_allclose(found, scipy_softmax(logits.astype(float), axis=-1))
    assert np.isfinite(found).all()


def test_top_classes_are_sorted_and_at_most_all():
    names = ["a", "b", "c"]
    assert top_classes(np.array([0.2, 0.5, 0.3]), names, 2) == [("b", 0.5), ("c", 0.3)]
    assert len(top_classes(np.array([0.2, 0.5, 0.3]), names, 5)) == 3
