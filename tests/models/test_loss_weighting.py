import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.models.loss_weighting import LOSS_WEIGHTINGS, fixed, uncertainty

WEIGHTS = {"action": 1.0, "frame": 3.0}


def test_fixed_is_the_weighted_sum():
    losses = {"action": tf.constant(2.0), "frame": tf.constant(0.5)}
    assert float(fixed(losses, WEIGHTS)) == pytest.approx(3.5)


def test_uncertainty_gives_every_task_the_gradient_of_its_best_variance():
    values = {"action": tf.Variable(2.0), "frame": tf.Variable(0.01)}
    with tf.GradientTape() as tape:
        total = uncertainty(values, WEIGHTS)
    gradients = tape.gradient(total, values)
    for name, value in values.items():
        variance = float(value)  # minimises loss / (2 s^2) + log(s)
        around = [
            float(value) / (2 * s) + np.log(s) / 2
            for s in (0.9 * variance, variance, 1.1 * variance)
        ]
        assert around[1] == min(around)
        expected = WEIGHTS[name] / (2 * variance)
        assert float(gradients[name]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", LOSS_WEIGHTINGS)
def test_an_absent_task_adds_nothing(name):
    losses = {"action": tf.constant(0.0)}
    assert float(LOSS_WEIGHTINGS[name](losses, WEIGHTS)) == 0
