"""Where filters come from, what the classifier sees, and how losses become one."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import oracles
from tests.helpers import randomise_weights, save_and_load
from tests.models.samples import (
    NUM_FRAMES,
    SIZE,
    random_clips,
    shifted_clips,
    tiny_dynamonet,
)

OPTIONS = [
    {"filter_source": "refined"},
    {"solver_maps": 2},
    {"segments": 2},
    {"evidence": "feature"},
    {"evidence": "filters"},
]


def gradients_of_logits(model):
    """Largest gradient of the logits by layer, 0 where there is none."""
    clips = random_clips(2)
    with tf.GradientTape() as tape:
        logits = model(clips, training=True)["logits"]
        loss = tf.reduce_sum(tf.square(logits))
    variables = model.trainable_variables
    found = {}
    for variable, gradient in zip(
        variables, tape.gradient(loss, variables), strict=True
    ):
        layer = variable.path.removeprefix(f"{model.name}/").split("/")[0]
        size = 0.0 if gradient is None else float(tf.reduce_max(tf.abs(gradient)))
        found[layer] = max(size, found.get(layer, 0.0))
    return found


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_networks_train_and_come_back(options, tmp_path):
    model = tiny_dynamonet(**options)
    model.compile("sgd", run_eagerly=True)
    clips = shifted_clips([(0, 1), (1, -1), (1, 0)])
    history = model.fit(clips, np.array([0, 1, -1]), verbose=0).history
    assert np.isfinite([values[0] for values in history.values()]).all()
    loaded = save_and_load(model, tmp_path / "model.keras")
    expected = model(clips)
    for name, tensor in loaded(clips).items():
        np.testing.assert_allclose(tensor, expected[name], atol=1e-6, err_msg=name)


def test_refined_filters_start_as_the_solved_ones():
    clips = shifted_clips([(0, 1), (1, 0)])
    refined = tiny_dynamonet(filter_source="refined")(clips)
    solved = tiny_dynamonet()(clips)
    for name in ("motion_filters", "next_frames", "dmr"):
        np.testing.assert_allclose(refined[name], solved[name], atol=1e-6)


def test_every_refined_filter_can_be_changed():
    model = randomise_weights(tiny_dynamonet(filter_source="refined"))
    clips = shifted_clips([(0, 1)])
    refined, solved = model(clips), tiny_dynamonet()(clips)
    change = np.array(refined["motion_filters"] - solved["motion_filters"])
    assert (np.abs(change).max(axis=(2, 3, 4)) > 0).all()


def test_solved_on_maps_of_the_frames():
    model = tiny_dynamonet(solver_maps=2)
    [maps] = [layer for layer in model.layers if layer.name == "frame_maps"]
    clips = shifted_clips([(0, 1)])
    frames = clips[:, :NUM_FRAMES] / np.float32(255)
    observed = model.solver(maps(frames)).numpy()
    filters = model(clips)["motion_filters"].numpy()
    identity = np.zeros((3, 3, 1))
    identity[1, 1] = 1
    np.testing.assert_allclose(filters[:, :-1], observed + identity, atol=1e-5)


def test_maps_learn_from_the_frames_alone():
    model = tiny_dynamonet(solver_maps=2)
    model.compile(keras.optimizers.SGD(1.0), run_eagerly=True, action_loss_weight=0.0)
    [kernel] = [v for v in model.trainable_variables if "frame_maps" in v.path]
    before = kernel.numpy()
    model.fit(shifted_clips([(0, 1), (1, 0)]), verbose=0)
    assert np.abs(kernel.numpy() - before).max() > 0


def test_frames_of_segments_are_blended_by_their_masks():
    model = tiny_dynamonet(segments=2)
    clips = shifted_clips([(0, 1), (1, 0)])
    frames = clips[:, :NUM_FRAMES] / np.float32(255)
    outputs = model(clips)
    filters = outputs["motion_filters"].numpy()
    masks = outputs["segment_masks"].numpy()
    assert masks.shape == (2, NUM_FRAMES, SIZE, SIZE, 2)
    np.testing.assert_allclose(masks.sum(axis=-1), 1, atol=1e-5)
    expected = sum(
        masks[..., m : m + 1]
        * oracles.filter_frames(frames, filters[..., m : m + 1], "edge")
        for m in range(2)
    )
    np.testing.assert_allclose(outputs["next_frames"], expected, atol=1e-4)


def test_the_forecast_moves_the_masks():
    """A square of 3x3 pixels moves to the right by one, and its border is soft."""
    model = tiny_dynamonet(segments=2)
    masks = np.zeros((1, 1, 7, 7, 2), "float32")
    masks[..., 0] = 1
    masks[0, 0, 2:5, 1:4] = 0, 1
    forecast = np.zeros((1, 1, 3, 3, 2), "float32")
    forecast[0, 0, 1, 1, 1], forecast[0, 0, 1, 0, 1] = -1, 1
    moved = np.array(model.motion._move(masks, forecast))[0, 0, :, :, 1]
    # Both segments claim what was and will be: by 9 of 9 pixels and 3 of 9, 4 and 3.
    assert moved[3, 3] == pytest.approx(9 / 12, abs=1e-2)
    assert moved[2, 2] == pytest.approx(4 / 7, abs=1e-2)
    assert moved[3, 6] < 0.01


@pytest.mark.parametrize(
    ("evidence", "sees"),
    [
        ("both", {"feature", "descriptor"}),
        ("feature", {"feature"}),
        ("filters", {"descriptor"}),
    ],
)
def test_the_classifier_learns_from_its_evidence_alone(evidence, sees):
    model = randomise_weights(tiny_dynamonet(evidence=evidence))
    found = gradients_of_logits(model)
    assert (found.get("motion_descriptor", 0.0) > 0) == ("descriptor" in sees)
    assert (found["stem_conv"] > 0) == ("feature" in sees)


@pytest.mark.parametrize("reaches", (True, False))
def test_the_action_loss_reaches_the_filters_on_request(reaches):
    model = tiny_dynamonet(filter_source="generated", motion_gradient=reaches)
    found = gradients_of_logits(randomise_weights(model))
    assert (found["filter_generator"] > 0) == reaches
    assert found["motion_descriptor"] > 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"frame_view": "whitened", "loss_weighting": "uncertainty"},
        {"frame_view": "high_pass"},
    ],
)
def test_views_and_weightings_survive_saving(arguments, tmp_path):
    # The view takes 4 pixels of each border, the rim of the filters one.
    model = tiny_dynamonet()
    model.compile("sgd", run_eagerly=True, **arguments)
    clips = shifted_clips([(0, 1), (1, 0), (1, 1), (1, -1)])
    labels = np.array([0, 1, -1, 2])
    expected = model.evaluate(clips, labels, verbose=0, return_dict=True)
    loaded = save_and_load(model, tmp_path / "model.keras")
    loaded.run_eagerly = True
    results = loaded.evaluate(clips, labels, verbose=0, return_dict=True)
    assert results == pytest.approx(expected, rel=1e-5)
    model.compile("sgd", run_eagerly=True)
    plain = model.evaluate(clips, labels, verbose=0, return_dict=True)
    assert plain["frame_loss"] != pytest.approx(expected["frame_loss"], rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"evidence": "none"}, "`evidence` must be one of ('both', 'feature', 'filt"),
        ({"segments": 2, "per_channel": True}, "and without `per_channel`"),
        ({"segments": 2, "solver_maps": 2}, "one of them at a time"),
        (
            {"solver_maps": 2, "filter_source": "generated"},
            "`segments` and `solver_maps` are for `filter_source='solved'`",
        ),
        (
            {"filter_source": "refined", "normalization": "softmax"},
            "Solved filters have negative taps",
        ),
    ],
)
def test_options_that_exclude_each_other_raise(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        tiny_dynamonet(**arguments)


def test_unknown_ways_to_compile_raise():
    model = tiny_dynamonet()
    with pytest.raises(ValueError, match="`loss_weighting` must be one of"):
        model.compile("sgd", loss_weighting="random")
    with pytest.raises(ValueError, match="`view` must be one of"):
        model.compile("sgd", frame_view="blurred")
