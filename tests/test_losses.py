import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet import losses
from keras_dynamonet.losses import FRAME_LOSSES, get_frame_loss


def frames(seed, shape=(2, 3, 9, 10, 3)):
    return np.random.default_rng(seed).random(shape).astype("float32")


def huber(real, predicted, delta):
    error = np.abs(predicted - real)
    return np.where(error <= delta, error**2 / (2 * delta), error - delta / 2).mean(
        axis=(1, 2, 3, 4)
    )


def gradient_difference(real, predicted):
    total = 0
    for axis in (2, 3):
        edges = [np.abs(np.diff(part, axis=axis)) for part in (real, predicted)]
        total = total + np.abs(edges[0] - edges[1]).mean(axis=(1, 2, 3, 4))
    return total


def ssim(real, predicted, window):
    """One window after the other, from the definition of mean and covariance."""
    scores = np.empty(real.shape[0])
    for clip in range(real.shape[0]):
        values = []
        for t, c in np.ndindex(real.shape[1], real.shape[4]):
            for y in range(real.shape[2] - window + 1):
                for x in range(real.shape[3] - window + 1):
                    area = np.s_[clip, t, y : y + window, x : x + window, c]
                    a, b = real[area].astype("float64"), predicted[area]
                    covariance = np.mean((a - a.mean()) * (b - b.mean()))
                    c1, c2 = 0.01**2, 0.03**2
                    values.append(
                        (2 * a.mean() * b.mean() + c1)
                        * (2 * covariance + c2)
                        / (a.mean() ** 2 + b.mean() ** 2 + c1)
                        / (a.var() + b.var() + c2)
                    )
        scores[clip] = np.mean(values)
    return 1 - scores


def l1(real, predicted):
    return np.abs(predicted - real).mean(axis=(1, 2, 3, 4))


def l2(real, predicted):
    return ((predicted - real) ** 2).mean(axis=(1, 2, 3, 4))


def charbonnier(real, predicted, epsilon):
    return np.sqrt((predicted - real) ** 2 + epsilon**2).mean(axis=(1, 2, 3, 4))


CASES = [
    (losses.L1FrameLoss, {}, l1),
    (losses.L2FrameLoss, {}, l2),
    (losses.HuberFrameLoss, {"delta": 0.3}, huber),
    (losses.CharbonnierFrameLoss, {"epsilon": 0.2}, charbonnier),
    (losses.GradientDifferenceFrameLoss, {}, gradient_difference),
    (losses.SSIMFrameLoss, {"window": 4}, ssim),
]


@pytest.mark.parametrize(("loss_class", "arguments", "oracle"), CASES)
def test_loss_equals_its_formula(loss_class, arguments, oracle):
    real, predicted = frames(0), frames(1)
    expected = oracle(real, predicted, **arguments)
    loss = loss_class(**arguments, reduction="none")
    np.testing.assert_allclose(loss(real, predicted), expected, rtol=1e-4)
    assert float(loss_class(**arguments)(real, predicted)) == pytest.approx(
        expected.mean(), rel=1e-4
    )


@pytest.mark.parametrize("name", FRAME_LOSSES)
def test_loss_has_finite_gradients_where_prediction_and_frame_are_equal(name):
    real = tf.constant(frames(0, (1, 2, 8, 8, 3)))
    for predicted in (real, tf.zeros_like(real), 0 * real + 0.5):
        with tf.GradientTape() as tape:
            tape.watch(predicted)
            value = get_frame_loss(name)(real, predicted)
        assert np.isfinite(value)
        assert np.isfinite(tape.gradient(value, predicted)).all()


@pytest.mark.parametrize("name", FRAME_LOSSES)
def test_loss_of_equal_frames_is_the_smallest(name):
    real = frames(0)
    floor = 1e-3 if name == "charbonnier" else 0
    assert float(get_frame_loss(name)(real, real)) == pytest.approx(floor, abs=1e-5)
    assert float(get_frame_loss(name)(real, frames(1))) > 0.01


def test_weighted_loss_is_the_weighted_sum():
    real, predicted = frames(0), frames(1)
    loss = get_frame_loss({"l1": 0.5, "l2": 2.0})
    expected = 0.5 * l1(real, predicted) + 2 * l2(real, predicted)
    assert float(loss(real, predicted)) == pytest.approx(expected.mean(), rel=1e-5)


def test_weighted_loss_masks_clips_by_sample_weight():
    real, predicted = frames(0), frames(1)
    loss = losses.WeightedFrameLoss({"l2": 1.0})
    value = loss(real, predicted, sample_weight=np.array([1.0, 0.0]))
    # Keras divides by the batch.
    assert float(value) == pytest.approx(l2(real, predicted)[0] / 2, rel=1e-5)


@pytest.mark.parametrize(
    ("loss_class", "arguments"),
    [
        *((case[0], case[1]) for case in CASES),
        (losses.WeightedFrameLoss, {"weights": {"huber": 1.0, "ssim": 0.1}}),
    ],
)
def test_configuration_survives_a_file(loss_class, arguments):
    loss = loss_class(**arguments)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    clone = keras.saving.deserialize_keras_object(config)
    assert type(clone) is loss_class
    assert clone.get_config() == loss.get_config()
    real, predicted = frames(0), frames(1)
    assert float(clone(real, predicted)) == float(loss(real, predicted))


def test_get_frame_loss_takes_a_name_weights_or_a_loss():
    own = keras.losses.MeanSquaredError()
    assert get_frame_loss(own) is own
    assert isinstance(get_frame_loss("huber"), losses.HuberFrameLoss)
    assert isinstance(get_frame_loss({"l1": 1.0}), losses.WeightedFrameLoss)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.HuberFrameLoss(delta=0), "`delta` must be positive"),
        (lambda: losses.CharbonnierFrameLoss(epsilon=0), "`epsilon` must be positive"),
        (lambda: losses.SSIMFrameLoss(window=1), "`window` must be at least 2"),
        (
            lambda: losses.SSIMFrameLoss(window=10)(frames(0), frames(1)),
            "`window` must not exceed the frame. Received: window=10, frames of 9 x 10",
        ),
        (lambda: losses.WeightedFrameLoss({}), "`weights` must name at least one loss"),
        (lambda: get_frame_loss({"psnr": 1.0}), "A frame loss must be one of"),
        (lambda: get_frame_loss("mse"), "A frame loss must be one of"),
        (lambda: get_frame_loss(3), "A frame loss must be one of"),
    ],
)
def test_wrong_arguments_raise(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
