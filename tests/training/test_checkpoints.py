import json
import zipfile

import keras
import numpy as np
import pytest

from keras_dynamonet.errors import UserError
from keras_dynamonet.training.checkpoints import (
    RunState,
    first_non_finite_weight,
    load_checkpoint,
    restore_metrics,
    restore_optimizer,
    save_checkpoint,
    save_for_inference,
)

CLIPS = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
SUMS = CLIPS.sum(axis=1, keepdims=True)


def make_model():
    """A small model with everything that has a state: batch norm, dropout, Adam."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1),
        ]
    )


def compile_and_fit(model, epochs, *, compile=True):
    if compile:
        model.compile("adamw", loss="mse", metrics=["mae"])
    model.fit(CLIPS, SUMS, batch_size=8, epochs=epochs, shuffle=False, verbose=0)
    return model


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint after two epochs, and the model that went on for one more."""
    path = tmp_path_factory.mktemp("checkpoints") / "last.keras"
    model = compile_and_fit(make_model(), 2)
    metrics = [variable.numpy() for variable in model.metrics_variables]
    state = RunState(4, epoch=2, history=[{"epoch": 1, "loss": 1.5}], best_score=[0.5])
    save_checkpoint(path, model, state)
    return path, state, metrics, compile_and_fit(model, 1, compile=False)


def test_training_goes_on_exactly(checkpoint):
    path, state, _, expected = checkpoint
    model, loaded_state = load_checkpoint(path)
    assert loaded_state == state
    model.compile("adamw", loss="mse", metrics=["mae"])
    restore_optimizer(path, model)
    compile_and_fit(model, 1, compile=False)
    for one, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_running_metrics_are_restored(checkpoint):
    path, _, metrics, model = checkpoint
    restore_metrics(path, model)
    found = [variable.numpy() for variable in model.metrics_variables]
    np.testing.assert_array_equal(found, metrics)


def test_step_counts_whole_and_begun_epochs():
    assert RunState(10, epoch=2, step_in_epoch=3).step == 23


def test_model_alone_is_smaller_and_computes_the_same(checkpoint, tmp_path):
    path, _, _, model = checkpoint
    save_for_inference(tmp_path / "best.keras", model)
    loaded = keras.saving.load_model(tmp_path / "best.keras")
    np.testing.assert_array_equal(
        loaded.predict(CLIPS, verbose=0), model.predict(CLIPS, verbose=0)
    )
    assert (tmp_path / "best.keras").stat().st_size < path.stat().st_size


def test_non_finite_weight_is_named():
    model = make_model()
    assert first_non_finite_weight(model) is None
    kernel = model.layers[0].kernel
    kernel.assign(np.where(np.eye(4, 8), np.inf, 0))
    assert first_non_finite_weight(model) == kernel.path


def test_missing_checkpoint(tmp_path):
    with pytest.raises(UserError, match="none.keras: no such checkpoint"):
        load_checkpoint(tmp_path / "none.keras")


def test_model_without_a_run(tmp_path):
    make_model().save(tmp_path / "model.keras")
    with pytest.raises(UserError, match="no run to go on with.*--init"):
        load_checkpoint(tmp_path / "model.keras")


@pytest.mark.parametrize("content", [b"", b"not a zip file"])
def test_broken_file(tmp_path, content):
    (tmp_path / "last.keras").write_bytes(content)
    with pytest.raises(UserError, match="last.keras: is no readable checkpoint"):
        load_checkpoint(tmp_path / "last.keras")


def test_broken_state(tmp_path):
    with zipfile.ZipFile(tmp_path / "last.keras", "w") as archive:
        archive.writestr("training_state.json", "{")
    with pytest.raises(UserError, match="is no readable checkpoint"):
        load_checkpoint(tmp_path / "last.keras")


def test_a_broken_network_in_a_checkpoint(checkpoint, tmp_path):
    broken = tmp_path / "last.keras"
    with zipfile.ZipFile(checkpoint[0]) as old, zipfile.ZipFile(broken, "w") as new:
        for name in old.namelist():
            new.writestr(name, "{" if name == "config.json" else old.read(name))
    with pytest.raises(UserError, match="last.keras: cannot be loaded as a model"):
        load_checkpoint(broken)


def test_failed_write_leaves_the_old_checkpoint(checkpoint, tmp_path, monkeypatch):
    path, state, _, model = checkpoint
    copy = tmp_path / "last.keras"
    copy.write_bytes(path.read_bytes())

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dumps", full_disk)
    with pytest.raises(UserError, match="cannot be written: .*No space left"):
        save_checkpoint(copy, model, state)
    assert copy.read_bytes() == path.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["last.keras"]
