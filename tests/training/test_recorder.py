import json
import math
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.training.checkpoints import RunState, load_checkpoint
from keras_dynamonet.training.interruption import StopRequest, TrainingInterrupted
from keras_dynamonet.training.recorder import (
    NonFiniteLossError,
    Recorder,
    StopCheck,
    epoch_score,
)
from keras_dynamonet.training.run_directory import RunDirectory

STEPS = 4


class At(keras.callbacks.Callback):
    """Calls a function with the model after one step of one epoch."""

    def __init__(self, epoch, batch, function):
        super().__init__()
        self._place, self._function = (epoch, batch), function

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self._epoch, batch) == self._place:
            self._function(self.model)


@pytest.fixture
def run(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.start()
    return run


def fit(run, *, epochs=2, events=(), watchers=(), validate=True, **kwargs):
    """Fits a small model to noise with a recorder; events come before its turn."""
    keras.utils.set_random_seed(0)
    layers = [keras.Input((3,)), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss=loss, metrics=["accuracy"])
    inputs = np.random.default_rng(0).normal(size=(STEPS, 3)).astype("float32")
    labels = np.array([0, 1, 0, 1])
    dataset = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(1)
    validation = dataset if validate else None
    state = RunState(STEPS)
    with StopRequest() as stop:
        recorder = Recorder(run, state, stop, validation=validation, **kwargs)
        chain = keras.callbacks.CallbackList(
            [*events, recorder, *watchers, StopCheck(recorder)],
            add_history=True,
            model=model,
            epochs=epochs,
            steps=STEPS,
        )
        model.fit(dataset, epochs=epochs, callbacks=chain, shuffle=False, verbose=0)
    return model, state


def saved_steps(run, monkeypatch):
    """The steps at which checkpoints are written from here on."""
    steps = []
    original = RunDirectory.write_json

    def write(self, path, document):
        if path == self.state:
            steps.append(document["step"])
        original(self, path, document)

    monkeypatch.setattr(RunDirectory, "write_json", write)
    return steps


def test_history_state_and_models_are_kept(run):
    model, state = fit(run)
    assert [row["epoch"] for row in state.history] == [1, 2]
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(state.history[0])
    document = json.loads(run.state.read_text())
    assert (document["step"], document["epoch"]) == (2 * STEPS, 2)
    loaded, loaded_state = load_checkpoint(run.last)
    assert loaded_state == state
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
    assert run.best.exists()
    assert run.history.read_text().count("\n") == 3


def test_checkpoints_come_every_so_many_steps_and_at_each_epochs_end(run, monkeypatch):
    steps = saved_steps(run, monkeypatch)
    fit(run, checkpoint_steps=3)
    assert steps == [3, 4, 6, 8]


def test_without_checkpoint_steps_they_come_at_each_epochs_end(run, monkeypatch):
    steps = saved_steps(run, monkeypatch)
    fit(run)
    assert steps == [4, 8]


def test_request_to_stop_saves_the_very_step(run):
    interrupt = At(1, 1, lambda model: os.kill(os.getpid(), signal.SIGINT))
    message = f"stopped at step 6, epoch 2. Go on with: .* --resume {run.path}"
    told = []
    watcher = At(1, 1, told.append)
    with pytest.raises(TrainingInterrupted, match=message):
        fit(run, events=[interrupt], watchers=[watcher])
    _, state = load_checkpoint(run.last)
    assert (state.step, state.step_in_epoch, state.epoch) == (6, 2, 1)
    assert told


def test_request_in_the_last_step_of_an_epoch_leaves_validation_for_later(run):
    interrupt = At(0, STEPS - 1, lambda model: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(TrainingInterrupted, match="stopped at step 4, epoch 1"):
        fit(run, events=[interrupt])
    _, state = load_checkpoint(run.last)
    assert state.unvalidated.keys() == {"loss", "accuracy"}
    assert (state.epoch, state.step_in_epoch, state.history) == (0, STEPS, [])


def test_request_at_an_epochs_end_stops_when_all_callbacks_know_of_it(run):
    interrupt = At(0, STEPS - 1, lambda model: os.kill(os.getpid(), signal.SIGINT))
    ended = []
    watcher = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ended.append(epoch)
    )
    with pytest.raises(TrainingInterrupted, match="stopped at step 4, epoch 2"):
        fit(run, events=[interrupt], watchers=[watcher], validate=False)
    assert ended == [0]
    _, state = load_checkpoint(run.last)
    assert (state.epoch, state.step_in_epoch, len(state.history)) == (1, 0, 1)


def test_an_epoch_that_a_callback_ends_is_gone_on_with(run):
    def stop(model):
        model.stop_training = True

    _, state = fit(run, events=[At(1, 1, stop)], epochs=3)
    assert (state.step, state.step_in_epoch, len(state.history)) == (6, 2, 1)
    model, saved = load_checkpoint(run.last)
    assert saved == state


def test_nan_loss_stops_and_names_the_step(run):
    poison = At(1, 1, lambda model: model.layers[0].bias.assign([np.nan, 0]))
    message = (
        "step 7, epoch 2: the loss is not finite. .*last.keras is the last good "
        "checkpoint.* lower --learning-rate"
    )
    with pytest.raises(NonFiniteLossError, match=message):
        fit(run, events=[poison])
    assert load_checkpoint(run.last)[1].step == 4


def test_weights_are_checked_before_they_are_saved(run):
    poison = At(0, 2, lambda model: model.layers[0].bias.assign([np.inf, np.inf]))
    with pytest.raises(NonFiniteLossError, match="step 3, epoch 1: the weight .*bias"):
        fit(run, events=[poison], checkpoint_steps=3)
    assert not run.last.exists()
    poison = At(0, 3, lambda model: model.layers[0].bias.assign([np.inf, np.inf]))
    with pytest.raises(NonFiniteLossError, match="step 4, epoch 1: the weight .*bias"):
        fit(run, events=[poison])


def test_best_epoch_is_the_one_with_the_highest_score(run):
    def spoil(model):
        model.layers[0].bias.assign([50.0, -50.0])

    _, state = fit(run, epochs=3, events=[At(2, 3, spoil)])
    losses = [row["val_loss"] for row in state.history]
    assert losses[2] > max(losses[:2])
    assert state.best_epoch in (1, 2)
    best = keras.saving.load_model(run.best)
    assert float(best.layers[0].bias[0]) < 50


def test_scores():
    assert epoch_score({"loss": 1.0, "val_loss": 2.0}) == [-2.0]
    assert epoch_score({"loss": 1.0, "val_loss": math.nan, "val_accuracy": 0.2}) == [
        0.2,
        -math.inf,
    ]
    better = epoch_score({"loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5})
    worse = epoch_score({"loss": 0.1, "val_loss": 1.1, "val_accuracy": 0.5})
    assert better > worse
