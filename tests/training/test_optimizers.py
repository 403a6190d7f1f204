import keras
import numpy as np
import pytest

from keras_dynamonet.layers.filter_generator import FilterForecaster
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.optimizers import make_optimizer


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_decay_shrinks_kernels_but_neither_biases_nor_norms(name):
    config = TrainConfig(
        optimizer=name, learning_rate=0.1, warmup_epochs=0.0, weight_decay=0.5
    )
    layers = [keras.layers.Dense(2), keras.layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((3,)), *layers])
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    optimizer = make_optimizer(config, steps_per_epoch=10)
    optimizer.build(model.trainable_variables)
    zeros = [keras.ops.zeros(v.shape) for v in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)
    values = {v.name: v.numpy() for v in model.trainable_variables}
    np.testing.assert_allclose(values["kernel"], 1 - 0.1 * 0.5, rtol=1e-6)
    for untouched in ("bias", "gamma", "beta"):
        np.testing.assert_array_equal(values[untouched], 1)


def test_rate_follows_the_schedule():
    config = TrainConfig(epochs=2, learning_rate=1.0, warmup_epochs=0.5)
    optimizer = make_optimizer(config, steps_per_epoch=4)
    optimizer.build([keras.Variable(0.0)])
    assert float(optimizer.learning_rate) == pytest.approx(0.5)
    optimizer.iterations.assign(7)
    assert float(optimizer.learning_rate) == pytest.approx(0.01)


def test_clipping_bounds_the_whole_gradient():
    config = TrainConfig(
        optimizer="sgd", learning_rate=1.0, warmup_epochs=0.0, momentum=0.0,
        weight_decay=0.0, clip_norm=1.0,
    )  # fmt: skip
    variables = [keras.Variable([0.0], name="a"), keras.Variable([0.0], name="b")]
    optimizer = make_optimizer(config, steps_per_epoch=1)
    optimizer.build(variables)
    optimizer.apply([keras.ops.array([30.0]), keras.ops.array([40.0])], variables)
    found = [float(variable[0]) for variable in variables]
    assert found == pytest.approx([-0.6, -0.8])


def test_zero_turns_clipping_off():
    assert make_optimizer(TrainConfig(clip_norm=0.0), 1).global_clipnorm is None


def test_the_scale_of_the_forecast_does_not_decay():
    config = TrainConfig(optimizer="sgd", weight_decay=0.1, warmup_epochs=0)
    optimizer = make_optimizer(config, steps_per_epoch=4)
    forecaster = FilterForecaster(5)
    forecaster.build((None, 3, 5, 5, 1))
    variables = forecaster.trainable_variables
    before = forecaster.persistence.numpy()
    optimizer.build(variables)
    optimizer.apply([keras.ops.zeros_like(v) for v in variables], variables)
    np.testing.assert_array_equal(forecaster.persistence, before)
