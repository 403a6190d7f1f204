"""A saved network is the same network, also for a process that knows only the file."""

import re
import zipfile

import keras
import numpy as np
import pytest

from keras_dynamonet import load_model
from keras_dynamonet.errors import UserError
from keras_dynamonet.losses import CharbonnierFrameLoss
from tests.fresh_process import run_python
from tests.helpers import save_and_load
from tests.models.samples import random_clips, tiny_backbone, tiny_dynamonet

LABELS = np.array([0, -1, 2, 1])


def test_a_fresh_process_predicts_and_trains_on(tmp_path):
    clips = random_clips()
    model = tiny_dynamonet(
        filter_source="generated", descriptor="flatten", class_names=["a", "b", "c"]
    )
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        frame_loss={"l1": 1.0, "ssim": 0.5},
        frame_loss_weight=3.0,
        teacher_weight=0.5,
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="own")],
        jit_compile=False,
    )
    model.fit(clips, LABELS, batch_size=4, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "clips.npy", clips)

    run_python("-m", "tests.models.reload_worker", tmp_path)

    fresh = np.load(tmp_path / "fresh.npz")
    for name, array in model.predict(clips, verbose=0).items():
        np.testing.assert_allclose(fresh[name], array, atol=1e-6, err_msg=name)
    history = model.fit(clips, LABELS, batch_size=4, shuffle=False, verbose=0).history
    for key, values in history.items():
        assert fresh[f"loss_{key}"] == pytest.approx(values[0], rel=1e-5), key
    for index, weight in enumerate(model.get_weights()):
        np.testing.assert_allclose(fresh[f"weight{index}"], weight, atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"filter_source": "solved", "dtype": "mixed_bfloat16"},
        {"filter_source": "solved", "per_channel": True, "border": "zeros"},
        {"filter_source": "generated", "generator_input": "feature"},
    ],
)
def test_a_loaded_network_equals_the_saved_one(arguments, tmp_path):
    model = tiny_dynamonet(**arguments)
    loaded = save_and_load(model, tmp_path / "model.keras")
    assert loaded.get_config() == model.get_config()
    assert not loaded.compiled
    clips = random_clips(2)
    expected = model(clips)
    for name, tensor in loaded(clips).items():
        np.testing.assert_array_equal(tensor, expected[name], err_msg=name)


def test_losses_and_their_weights_come_back(tmp_path):
    model = tiny_dynamonet()
    model.compile(
        keras.optimizers.AdamW(0.02),
        loss=keras.losses.SparseCategoricalCrossentropy(True, ignore_class=2),
        frame_loss=CharbonnierFrameLoss(epsilon=0.02),
        action_loss_weight=0.3,
        frame_loss_weight=3.0,
        teacher_weight=0.0,
        run_eagerly=True,
        steps_per_execution=1,
    )
    loaded = save_and_load(model, tmp_path / "model.keras")
    old, new = (network.action_task.loss_function for network in (model, loaded))
    assert new.get_config() == old.get_config()
    old, new = (network.frame_task.loss_function for network in (model, loaded))
    assert new.get_config() == old.get_config()
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0.02)
    clips = random_clips()
    results = [
        network.evaluate(clips, LABELS, verbose=0, return_dict=True)
        for network in (model, loaded)
    ]
    assert results[0] == results[1]


def test_weights_alone_fit_into_a_new_network(tmp_path):
    model, other = tiny_dynamonet(), tiny_dynamonet()
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    clips = random_clips(2)
    np.testing.assert_array_equal(other(clips)["logits"], model(clips)["logits"])


def test_load_model_restores_or_leaves_the_compile_state(tmp_path):
    path = tmp_path / "model.keras"
    model = tiny_backbone(num_classes=2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.save(path)
    assert load_model(path).compiled
    assert not load_model(str(path), compile=False).compiled


def test_a_checkpoint_is_loaded_with_its_optimizer(trained_run):
    code = f"""
import keras_dynamonet
model = keras_dynamonet.load_model({str(trained_run.run.last)!r})
print(model.compiled, type(model.optimizer._learning_rate).__name__)
"""
    assert run_python("-c", code).split()[-2:] == ["True", "WarmupCosine"]


def test_files_that_cannot_be_loaded_name_the_file_and_the_cure(tmp_path):
    missing = tmp_path / "missing.keras"
    with pytest.raises(UserError, match=re.escape(f"{missing}: no such model file")):
        load_model(missing)
    garbage = tmp_path / "garbage.keras"
    garbage.write_bytes(b"PK not really")
    with pytest.raises(UserError, match=re.escape(f"{garbage}: not a .keras file")):
        load_model(garbage)
    empty = tmp_path / "empty.keras"
    empty.write_bytes(b"PK\x05\x06" + bytes(18))  # A ZIP archive of nothing.
    with pytest.raises(UserError, match=re.escape(f"{empty}: cannot be loaded")):
        load_model(empty)
    locked = tmp_path / "locked.keras"
    with zipfile.ZipFile(locked, "w") as archive:
        archive.writestr("config.json", "{}")
    content = bytearray(locked.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # "encrypted"
    locked.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(f"{locked}: cannot be loaded")):
        load_model(locked)
