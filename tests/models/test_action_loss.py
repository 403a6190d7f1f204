import keras
import numpy as np
import pytest

from keras_dynamonet.models.action_loss import get_action_loss, labelled_weight


@pytest.mark.parametrize(
    ("identifier", "labels"),
    [
        (None, np.array([2, 0])),
        ("sparse_categorical_crossentropy", np.array([2, 0])),
        ("categorical_crossentropy", np.eye(3, dtype="float32")[[2, 0]]),
    ],
)
def test_cross_entropies_by_name_are_from_logits(identifier, labels):
    logits = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]], "float32")
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -np.mean(np.log([shares[0, 2], shares[1, 0]]))
    assert float(get_action_loss(identifier)(labels, logits)) == pytest.approx(expected)


def test_own_losses_are_taken_as_they_are():
    loss = keras.losses.CategoricalFocalCrossentropy(from_logits=True)
    assert get_action_loss(loss) is loss


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        (
            keras.losses.SparseCategoricalCrossentropy(),
            "give the loss `from_logits=True`",
        ),
        ("mean_squared_error", "must be a keras.losses.Loss or the name of"),
        (lambda y, p: 0.0, "must be a keras.losses.Loss or the name"),
        ("no_such_loss", "no_such_loss"),
    ],
)
def test_losses_that_cannot_be_used_raise(identifier, message):
    with pytest.raises(ValueError, match=message):
        get_action_loss(identifier)


@pytest.mark.parametrize(
    ("labels", "sample_weight", "expected"),
    [
        ([3, -1, 0], None, [1, 0, 1]),
        ([[3], [-1], [0]], None, [1, 0, 1]),
        ([3, -1, 0], [2.0, 5.0, 0.5], [2, 0, 0.5]),
        ([3, -1, 0], [[2.0], [5.0], [0.5]], [2, 0, 0.5]),
        ([[0.0, 1.0], [0.0, 0.0], [0.3, 0.7]], None, [1, 0, 1]),
    ],
)
def test_labelled_weight(labels, sample_weight, expected):
    labels = keras.ops.convert_to_tensor(labels)
    weight = labelled_weight(labels, sample_weight)
    np.testing.assert_allclose(weight, expected)
