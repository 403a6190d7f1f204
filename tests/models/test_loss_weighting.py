import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.models.loss_weighting import LOSS_WEIGHTINGS, TASKS, LossWeighting
from keras_dynamonet.training.checkpoints import inference_copy
from tests.helpers import save_and_load
from tests.models.samples import random_clips, tiny_dynamonet

LABELS = np.array([0, -1, 2, 1])
WEIGHTS = {"action": 1.0, "frame": 3.0}


def weighting(kind, **options):
    made = LossWeighting()
    made.prepare(kind, **options)
    return made


def total(made, training=True, **losses):
    losses = {name: tf.constant(loss) for name, loss in losses.items()}
    return float(made.total(losses, WEIGHTS, training))


def trained(kind, steps, **options):
    keras.utils.set_random_seed(0)
    model = tiny_dynamonet()
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        loss_weighting=kind,
        run_eagerly=True,
        **options,
    )
    fit(model, steps)
    return model


def fit(model, steps):
    for _ in range(steps):
        model.train_on_batch(random_clips(), LABELS)


def state(model):
    parts = model.loss_weighting.log_variances, model.loss_weighting.steps_seen
    return [part.numpy().tolist() for part in parts]


def test_fixed_is_the_weighted_sum():
    assert total(weighting("fixed"), action=2.0, frame=0.5) == pytest.approx(3.5)


def test_warm_up_lets_the_action_loss_grow_in_training_steps():
    made = weighting("warm_up", warmup_steps=4)
    totals = [total(made, action=2.0, frame=0.5) for _ in range(6)]
    assert totals == pytest.approx([1.5, 2.0, 2.5, 3.0, 3.5, 3.5])


def test_warm_up_is_for_training_alone():
    made = weighting("warm_up", warmup_steps=4)
    total(made, action=2.0, frame=0.5)
    assert total(made, training=False, action=2.0, frame=0.5) == pytest.approx(3.5)
    assert total(made, action=2.0, frame=0.5) == pytest.approx(2.0)


def test_uncertainty_learns_the_logarithm_of_each_loss():
    made = weighting("uncertainty")
    assert total(made, action=2.0, frame=0.5) == pytest.approx(3.5)
    losses = {"action": tf.constant(2.0), "frame": tf.constant(0.01)}
    for _ in range(100):
        with tf.GradientTape() as tape:
            value = made.total(losses, WEIGHTS, training=True)
        made.log_variances.assign_sub(0.1 * tape.gradient(value, made.log_variances))
    found = dict(zip(TASKS, made.log_variances.numpy(), strict=True))
    assert found["action"] == pytest.approx(np.log(2.0), abs=1e-3)
    assert found["frame"] == pytest.approx(np.log(0.01), abs=1e-3)
    assert found["teacher"] == 0


@pytest.mark.parametrize("kind", LOSS_WEIGHTINGS)
def test_an_absent_task_adds_nothing(kind):
    made = weighting(kind)
    made.log_variances.assign([1.0, 1.0, 1.0])
    assert total(made, action=0.0) == 0


@pytest.mark.parametrize("kind", ("warm_up", "uncertainty"))
def test_a_loaded_network_goes_on_where_it_was(kind, tmp_path):
    model = trained(kind, steps=2, loss_warmup_steps=5)
    assert state(model) != [[0.0] * 3, 0.0]
    loaded = save_and_load(model, tmp_path / "model.keras")
    assert state(loaded) == state(model)
    # As a run is resumed: compiled anew, then given the state of its checkpoint.
    resumed = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    resumed.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss_weighting=kind)
    assert state(resumed) == [[0.0] * 3, 0.0]
    resumed.load_weights(tmp_path / "model.keras")
    assert state(resumed) == state(model)
    for network in (model, loaded):
        fit(network, steps=2)
    assert state(loaded) == state(model)
    for found, expected in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(found, expected, err_msg=expected.path)


def test_the_first_step_of_a_warm_up_teaches_no_action():
    before = trained("warm_up", steps=0).action.get_weights()
    model = trained("warm_up", steps=1)
    for found, expected in zip(model.action.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)
    fit(model, steps=1)
    assert (model.action.get_weights()[0] != before[0]).any()


def test_the_state_is_learnt_but_no_part_of_the_network():
    model = trained("uncertainty", steps=1)
    learnt = [variable.path for variable in model.trainable_weights]
    assert model.loss_weighting.log_variances.path in learnt
    assert len(model.weights) == len(tiny_dynamonet().weights)
    assert state(inference_copy(model)) == [[0.0] * 3, 0.0]


def test_compiling_again_starts_afresh():
    model = trained("uncertainty", steps=1)
    model.compile("sgd")
    assert state(model) == [[0.0] * 3, 0.0]
    assert len(model.trainable_weights) == len(tiny_dynamonet().trainable_weights)


def test_files_without_the_state_leave_it_as_it_is():
    made = weighting("warm_up", warmup_steps=4)
    made.load_own_variables({})
    assert float(made.steps_seen) == 0


def test_wrong_arguments_raise():
    with pytest.raises(ValueError, match="`loss_weighting` must be one of"):
        weighting("random")
    with pytest.raises(ValueError, match="`loss_warmup_steps` must be at least 1"):
        weighting("warm_up", warmup_steps=0)


def test_a_network_that_is_thawed_learns_no_scales_that_nothing_uses():
    model = tiny_dynamonet()
    model.compile("sgd")
    expected = [variable.path for variable in model.trainable_variables]
    model.trainable = False
    model.trainable = True
    assert [variable.path for variable in model.trainable_variables] == expected
    model.compile("sgd", loss_weighting="uncertainty")
    assert len(model.trainable_variables) == len(expected) + 1
