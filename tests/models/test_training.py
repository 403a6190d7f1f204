"""DynamoNet in the hands of `fit`: every mode of Keras, and what training reaches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.metrics import psnr
from keras_dynamonet.models import DynamoNet
from tests.models.samples import (
    random_clips,
    shifted_clips,
    tiny_backbone,
    tiny_dynamonet,
)

LABELS = np.array([0, -1, 2, 1])
SHARED_KEYS = {
    "loss",
    "frame_loss",
    "psnr_observed",
    "psnr_unseen",
    "psnr_gain_observed",
    "psnr_gain_unseen",
}
LABEL_KEYS = {"action_loss", "accuracy", "top5_accuracy"}


def recovered_decibels(model, clips):
    """PSNR of the observed transitions and of the unseen frame, without the rim."""
    predicted = model.predict(clips, verbose=0)["next_frames"]
    rim = model.kernel_size // 2
    inner = np.s_[:, :, rim:-rim, rim:-rim]
    real, predicted = (clips[:, 1:] / 255)[inner], predicted[inner]
    return (
        psnr(real[:, :-1], predicted[:, :-1]),
        psnr(real[:, -1], predicted[:, -1]),
    )


def train_on_shifts(model, clips, steps, learning_rate):
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(
        keras.optimizers.Adam(schedule),
        action_loss_weight=0.0,
        steps_per_execution=steps // 4,
    )
    model.fit(tf.data.Dataset.from_tensors(clips).repeat(steps), verbose=0)


@pytest.mark.parametrize(("kernel_size", "reach"), [(3, 1), (5, 2)])
def test_solved_filters_recover_whole_shifts_of_scenes_never_seen(kernel_size, reach):
    moves = range(-reach, reach + 1)
    shifts = [(dy, dx) for dy in moves for dx in moves]
    # Enough pixels for the 25 taps of the larger filters.
    size = 16 * reach
    unknown = shifted_clips(shifts, size=size, seed=99)
    keras.utils.set_random_seed(0)
    backbone = tiny_backbone(size=size)
    model = DynamoNet(backbone, 3, filter_source="solved", kernel_size=kernel_size)
    # Motion that goes on needs no training; where the forecast halves it, it learns to.
    assert min(recovered_decibels(model, unknown)) >= 40
    persistence = model.motion.forecaster.persistence
    persistence.assign(0.5 * persistence)
    observed, unseen = recovered_decibels(model, unknown)
    assert observed >= 40 > unseen
    known = shifted_clips(shifts * (4 - reach), size=size)
    train_on_shifts(model, known, steps=80, learning_rate=0.01)
    assert min(recovered_decibels(model, unknown)) >= 40


def test_generated_filters_learn_whole_shifts_from_their_teacher():
    clips = shifted_clips([(0, 1), (1, 0), (-1, 0), (0, -1)])
    keras.utils.set_random_seed(0)
    model = tiny_dynamonet(filter_source="generated")
    train_on_shifts(model, clips, steps=160, learning_rate=0.03)
    assert min(recovered_decibels(model, clips)) >= 40


@pytest.mark.parametrize("source", ("solved", "generated"))
def test_every_weight_learns(source):
    model = tiny_dynamonet(filter_source=source)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    before = [weight.numpy() for weight in model.trainable_weights]
    # The first layer of a generator has a gradient once the last has left zero.
    model.fit(random_clips(), LABELS, epochs=2, verbose=0)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert np.isfinite(weight.numpy()).all(), weight.path
        assert np.any(weight.numpy() != old), weight.path


def test_history_and_validation_on_clips_with_and_without_labels():
    model = tiny_dynamonet()
    model.compile("sgd", run_eagerly=True)
    clips = random_clips()
    labelled = tf.data.Dataset.from_tensors((clips, LABELS))
    alone = tf.data.Dataset.from_tensors(clips)
    history = model.fit(labelled, validation_data=alone, epochs=2, verbose=0).history
    expected = SHARED_KEYS | LABEL_KEYS | {f"val_{key}" for key in SHARED_KEYS}
    assert set(history) == expected
    assert {len(values) for values in history.values()} == {2}
    history = model.fit(alone, validation_data=labelled, verbose=0).history
    validation = {f"val_{key}" for key in SHARED_KEYS | LABEL_KEYS}
    assert set(history) == SHARED_KEYS | validation


def test_the_same_seed_gives_the_same_losses():
    losses = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        model = tiny_dynamonet(dropout=0.5)
        model.compile("adam", run_eagerly=True)
        history = model.fit(random_clips(), LABELS, batch_size=2, verbose=0)
        losses.append(history.history["loss"])
    assert losses[0] == losses[1]


def test_standard_callbacks(tmp_path):
    model = tiny_dynamonet(class_names=["run", "walk", "sit"], fps=12.0)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    path = tmp_path / "best.keras"
    history = model.fit(
        random_clips(),
        LABELS,
        validation_split=0.5,
        epochs=5,
        verbose=0,
        callbacks=[
            # A learning rate of zero never betters the unseen frame.
            keras.callbacks.EarlyStopping("val_psnr_unseen", mode="max", patience=1),
            keras.callbacks.ModelCheckpoint(
                path, "val_psnr_unseen", mode="max", save_best_only=True
            ),
        ],
    )
    assert len(history.epoch) == 2
    best = keras.saving.load_model(path)
    assert (best.class_names, best.fps) == (["run", "walk", "sit"], 12.0)
    for weight, other in zip(
        best.trainable_weights, model.trainable_weights, strict=True
    ):
        np.testing.assert_array_equal(weight, other, err_msg=weight.path)


@pytest.mark.parametrize(
    "options",
    [
        {"jit_compile": True},
        {"jit_compile": False, "steps_per_execution": 2},
    ],
    ids=["jit", "two-steps"],
)
def test_compiled_training_equals_eager_training(options):
    losses = []
    for arguments in ({"run_eagerly": True, "jit_compile": False}, options):
        keras.utils.set_random_seed(5)
        model = tiny_dynamonet()
        model.compile(keras.optimizers.SGD(0.01), **arguments)
        history = model.fit(
            random_clips(), LABELS, batch_size=2, epochs=2, shuffle=False, verbose=0
        )
        losses.append(history.history)
    for key, values in losses[0].items():
        assert values == pytest.approx(losses[1][key], rel=2e-3), key


@pytest.mark.parametrize("source", ("solved", "generated"))
def test_mixed_precision_trains_close_to_single_precision(source):
    losses = []
    for dtype in ("float32", "mixed_bfloat16"):
        keras.utils.set_random_seed(5)
        model = tiny_dynamonet(dtype=dtype, filter_source=source)
        model.compile(keras.optimizers.SGD(0.01), run_eagerly=True)
        history = model.fit(random_clips(), LABELS, epochs=3, verbose=0).history
        losses.append(history["loss"])
        assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
