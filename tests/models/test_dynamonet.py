"""What the network computes: its outputs, losses and metrics."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.metrics import least_squares_prediction, psnr
from tests import oracles
from tests.helpers import randomise_weights
from tests.models.samples import (
    NUM_FRAMES,
    SIZE,
    random_clips,
    shifted_clips,
    tiny_backbone,
    tiny_dynamonet,
)

SOURCES = ("solved", "generated")


@pytest.fixture(scope="module", params=SOURCES)
def model(request):
    """A network with weights that no zero initialiser hides, run step by step."""
    model = tiny_dynamonet(filter_source=request.param)
    randomise_weights(model)
    return model


def compile_eagerly(model, **arguments):
    # A learning rate of zero keeps the shared model as it is.
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True, **arguments)
    return model


def cross_entropies(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -logs[np.arange(len(labels)), labels]


def apply(model, clips):
    """Outputs of the network as arrays; `predict` would trace a graph each time."""
    return {name: array.numpy() for name, array in model(clips).items()}


def evaluate(model, *arguments, **keywords):
    return model.evaluate(*arguments, **keywords, verbose=0, return_dict=True)


def test_outputs_by_name_and_shape(model):
    outputs = model.predict(random_clips(3), verbose=0)
    assert {name: array.shape for name, array in outputs.items()} == {
        "logits": (3, 3),
        "next_frames": (3, NUM_FRAMES, SIZE, SIZE, 3),
        "motion_filters": (3, NUM_FRAMES, 3, 3, 1),
        "dmr": (3, NUM_FRAMES * 9),
        "feature": (3, 8),
    }
    assert {array.dtype.name for array in outputs.values()} == {"float32"}


def test_next_frames_are_the_frames_moved_by_the_filters(model):
    clips = random_clips(2)
    outputs = apply(model, clips)
    frames = clips[:, :NUM_FRAMES] / 255
    expected = oracles.filter_frames(frames, outputs["motion_filters"], "edge")
    np.testing.assert_allclose(outputs["next_frames"], expected, atol=1e-4)


def test_the_frame_after_the_clip_is_never_seen(model):
    clips = random_clips(2)
    with_target = apply(model, clips)
    without = apply(model, clips[:, :NUM_FRAMES])
    for name, array in with_target.items():
        np.testing.assert_array_equal(array, without[name], err_msg=name)


def test_predicts_clips_with_and_without_the_frame_after(model):
    # TensorFlow's second trace leaves the number of frames open.
    clips = random_clips(2)
    compile_eagerly(model)
    model.run_eagerly = False
    expected = apply(model, clips)["logits"]
    for given in (clips, clips[:, :NUM_FRAMES]):
        logits = model.predict(given, verbose=0)["logits"]
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_integers_and_floats_mean_the_same_pixels(model):
    clips = random_clips(2)
    integers = apply(model, clips)
    floats = apply(model, clips.astype("float32"))
    for name, array in integers.items():
        np.testing.assert_allclose(array, floats[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("frames", (NUM_FRAMES - 1, NUM_FRAMES + 2))
def test_other_frame_counts_raise(model, frames):
    message = (
        f"A clip must have {NUM_FRAMES} frames, or one more as the target of the "
        f"forecast. Received: a batch of shape (2, {frames}, 16, 16, 3)"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        model(random_clips(2, frames))


def test_generated_filters_start_by_copying_the_frame():
    clips = random_clips(2)
    outputs = apply(tiny_dynamonet(filter_source="generated"), clips)
    np.testing.assert_allclose(
        outputs["next_frames"], clips[:, :NUM_FRAMES] / 255, atol=1e-6
    )
    assert not outputs["dmr"].any()


def test_solved_filters_lie_between_floor_and_ceiling():
    clips = shifted_clips([(0, 1), (1, -1)])
    predicted = apply(tiny_dynamonet(), clips)["next_frames"]
    inner = np.s_[:, :-1, 1:-1, 1:-1]  # the last frame is a forecast
    real = clips[:, 1:] / 255
    model = psnr(real[inner], predicted[inner])
    assert psnr(real[inner], clips[:, :-1][inner] / 255) < model
    best = least_squares_prediction(clips / 255, 3)
    assert model <= psnr(real[inner], best[:, :-1])


@pytest.mark.parametrize("per_channel", (False, True))
def test_dmr_is_the_flattened_filters_less_the_identity(per_channel):
    model = tiny_dynamonet(filter_source="generated", per_channel=per_channel)
    outputs = apply(randomise_weights(model), random_clips(2))
    identity = np.zeros((3, 3, 1))
    identity[1, 1] = 1
    motion = outputs["motion_filters"] - identity
    np.testing.assert_allclose(outputs["dmr"], motion.reshape(2, -1), atol=1e-6)


@pytest.mark.parametrize("normalization", ("sum_to_one", "softmax"))
def test_normalised_filters_keep_the_brightness(normalization):
    model = tiny_dynamonet(filter_source="generated", normalization=normalization)
    randomise_weights(model)
    filters = apply(model, random_clips(2))["motion_filters"]
    np.testing.assert_allclose(filters.sum(axis=(2, 3)), 1, atol=1e-5)


def test_action_loss_is_the_mean_over_labelled_clips(model):
    clips, labels = random_clips(4), np.array([2, -1, 0, -1])
    compile_eagerly(model, frame_loss_weight=0.0, teacher_weight=0.0)
    results = evaluate(model, clips, labels)
    logits = apply(model, clips)["logits"]
    expected = cross_entropies(logits[[0, 2]], labels[[0, 2]]).mean()
    assert results["loss"] == pytest.approx(expected, rel=1e-4)
    assert results["action_loss"] == pytest.approx(expected, rel=1e-4)
    hits = logits[[0, 2]].argmax(axis=1) == labels[[0, 2]]
    assert results["accuracy"] == pytest.approx(hits.mean())
    assert results["top5_accuracy"] == 1  # three classes


def test_metrics_over_batches_weigh_every_labelled_clip_alike(model):
    clips, labels = random_clips(4), np.array([2, 1, 0, -1])
    compile_eagerly(model)
    whole = evaluate(model, clips, labels, batch_size=4)
    parts = evaluate(model, clips, labels, batch_size=3)
    del whole["loss"], parts["loss"]  # Keras weighs it by all clips, labelled or not.
    assert parts == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("reduction", ("sum_over_batch_size", "sum", "mean", "none"))
def test_reduction_of_the_loss_does_not_change_the_mean(model, reduction):
    if reduction == "mean":
        reduction = "mean_with_sample_weight"
    clips, labels = random_clips(3), np.array([2, -1, 0])
    loss = keras.losses.SparseCategoricalCrossentropy(True, reduction=reduction)
    results = evaluate(compile_eagerly(model, loss=loss), clips, labels)
    default = evaluate(compile_eagerly(model), clips, labels)
    assert results["action_loss"] == pytest.approx(default["action_loss"], rel=1e-5)


def test_labels_of_every_shape_mean_the_same(model):
    clips, labels = random_clips(3), np.array([2, -1, 0])
    one_hot = np.eye(3, dtype="float32")[labels] * (labels >= 0)[:, None]
    expected = evaluate(compile_eagerly(model), clips, labels)
    assert evaluate(model, clips, labels[:, None]) == pytest.approx(expected)
    compile_eagerly(model, loss="categorical_crossentropy")
    assert evaluate(model, clips, one_hot) == pytest.approx(expected, rel=1e-4)


def test_sample_weight_weighs_the_labelled_clips(model):
    clips, labels = random_clips(4), np.array([2, -1, 0, 1])
    weight = np.array([1.0, 7.0, 3.0, 0.0])
    results = evaluate(compile_eagerly(model), clips, labels, sample_weight=weight)
    logits = apply(model, clips)["logits"]
    losses = cross_entropies(logits[[0, 2]], labels[[0, 2]])
    expected = np.average(losses, weights=[1, 3])
    assert results["action_loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("dtype", ("uint8", "float32"))
def test_pixels_and_filters_stay_in_float32_under_mixed_precision(dtype):
    clips = random_clips(2).astype(dtype)
    if dtype == "float32":
        clips = clips + 0.4  # Not a number of bfloat16.
    half = apply(tiny_dynamonet(dtype="mixed_bfloat16"), clips)
    layer = tiny_dynamonet(dtype="mixed_bfloat16").motion_descriptor
    assert layer.compute_dtype == "bfloat16"
    single = apply(tiny_dynamonet(), clips)
    for name in ("motion_filters", "next_frames"):
        # The forecast starts from the same weights.
        np.testing.assert_allclose(half[name], single[name], atol=1e-5)
    assert half["feature"].dtype.name == "bfloat16"
    assert half["logits"].dtype.name == "float32"


def test_a_batch_without_any_label_trains_on_frames(model):
    compile_eagerly(model)
    clips = random_clips(2)
    results = evaluate(model, clips, np.array([-1, -1]))
    assert np.isfinite(list(results.values())).all()
    assert results["action_loss"] == results["accuracy"] == 0
    alone = evaluate(model, clips)
    assert not {"action_loss", "accuracy", "top5_accuracy"} & set(alone)
    assert alone["loss"] == pytest.approx(results["loss"])


def test_frame_loss_leaves_out_the_rim_and_counts_the_unseen_frame(model):
    compile_eagerly(model, frame_loss="l2", action_loss_weight=0.0, teacher_weight=0.0)
    clips = random_clips(2)
    predicted = apply(model, clips)["next_frames"]
    errors = (predicted - clips[:, 1:] / 255)[:, :, 1:-1, 1:-1] ** 2
    results = evaluate(model, clips)
    assert results["frame_loss"] == pytest.approx(errors.mean(), rel=1e-4)
    assert results["loss"] == pytest.approx(errors.mean(), rel=1e-4)
    # Without the frame after the clip only the observed transitions count.
    results = evaluate(model, clips[:, :NUM_FRAMES])
    assert results["frame_loss"] == pytest.approx(errors[:, :-1].mean(), rel=1e-4)


def test_metrics_without_a_frame_to_compare_are_left_out(model):
    compile_eagerly(model)
    whole = evaluate(model, random_clips(2))
    observed = evaluate(model, random_clips(2, NUM_FRAMES))
    assert whole.keys() - observed.keys() == {"psnr_unseen", "psnr_gain_unseen"}
    assert evaluate(model, random_clips(2)) == pytest.approx(whole)


def test_psnr_keeps_observed_and_unseen_apart(model):
    compile_eagerly(model)
    clips = random_clips(3)
    predicted = apply(model, clips)["next_frames"]
    results = evaluate(model, clips, batch_size=2)
    parts = {
        "observed": slice(0, NUM_FRAMES - 1),
        "unseen": slice(NUM_FRAMES - 1, None),
    }
    for name, frames in parts.items():
        inner = np.s_[:, frames, 1:-1, 1:-1]
        real, copied = clips[:, 1:][inner] / 255, clips[:, :-1][inner] / 255
        quality = psnr(real, predicted[inner])
        assert results[f"psnr_{name}"] == pytest.approx(quality, abs=1e-3)
        gain = quality - psnr(real, copied)
        assert results[f"psnr_gain_{name}"] == pytest.approx(gain, abs=1e-3)


def test_teacher_is_the_distance_to_the_solved_filters(model):
    weights = {"action_loss_weight": 0.0, "frame_loss_weight": 0.0}
    compile_eagerly(model, **weights, teacher_weight=2.0)
    clips = shifted_clips([(0, 1), (1, 0)])
    made = apply(model, clips)["motion_filters"]
    identity = np.zeros((3, 3, 1))
    identity[1, 1] = 1
    best = identity + model.solver(clips / np.float32(255)).numpy()
    if model.filter_source == "solved":  # Only the forecast has something to learn.
        made, best = made[:, -1:], best[:, -1:]
    expected = 2 * np.mean(np.sum((made - best) ** 2, axis=(2, 3, 4)))
    assert evaluate(model, clips)["loss"] == pytest.approx(expected, rel=1e-3)


def test_the_teacher_of_a_softmax_shows_the_solved_filters_themselves():
    model = tiny_dynamonet(filter_source="generated", normalization="softmax")
    weights = {"action_loss_weight": 0.0, "frame_loss_weight": 0.0}
    compile_eagerly(model, **weights, teacher_weight=1.0)
    clips = shifted_clips([(0, 1), (1, 0)])
    made = apply(model, clips)["motion_filters"]
    best = model.solver(clips / np.float32(255)).numpy()
    best[:, :, 1, 1] += 1
    expected = np.mean(np.sum((made - best) ** 2, axis=(2, 3, 4)))
    assert evaluate(model, clips)["loss"] == pytest.approx(expected, rel=1e-3)


def test_solved_network_has_nothing_to_teach_without_the_unseen_frame():
    model = tiny_dynamonet()
    weights = {"action_loss_weight": 0.0, "frame_loss_weight": 0.0}
    compile_eagerly(model, **weights)
    assert evaluate(model, random_clips(2, NUM_FRAMES))["loss"] == 0


def test_black_and_still_clips_stay_finite(model):
    compile_eagerly(model)
    clips = np.zeros((2, NUM_FRAMES + 1, SIZE, SIZE, 3), "uint8")
    clips[1] = 200
    assert np.isfinite(list(evaluate(model, clips, np.array([0, 1])).values())).all()


def test_further_metrics_see_only_labelled_clips(model):
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="own")
    compile_eagerly(model, metrics=[accuracy])
    results = evaluate(model, random_clips(4), np.array([2, -1, 0, -1]))
    assert results["own"] == results["accuracy"]
    # Before and after they are built: no labels, no metric of labels.
    assert "own" not in evaluate(model, random_clips(2))
    other = compile_eagerly(tiny_dynamonet(), metrics=[accuracy])
    assert "own" not in evaluate(other, random_clips(2))
    history = other.fit(
        *(random_clips(2), np.array([2, 0])),
        validation_data=(random_clips(2),),
        verbose=0,
    ).history
    assert "own" in history and "val_own" not in history and "val_loss" in history


def test_config_is_complete():
    arguments = {
        "filter_source": "generated",
        "kernel_size": 3,
        "generator_input": "feature",
        "per_channel": True,
        "normalization": "sum_to_one",
        "segments": 1,
        "solver_maps": 0,
        "border": "reflect",
        "ridge": 0.01,
        "descriptor_ridge": 0.1,
        "evidence": "filters",
        "motion_gradient": False,
        "descriptor": "flatten",
        "dropout": 0.1,
        "class_names": ["run", "walk", "sit"],
        "fps": None,
        "stride": 2,
        "name": "net",
    }
    model = tiny_dynamonet(**arguments)
    config = model.get_config()
    assert {name: config[name] for name in arguments} == arguments
    clone = type(model).from_config(config)
    assert clone.get_config() == config
    assert clone.class_names == arguments["class_names"]
    assert (clone.num_frames, clone.frame_size) == (NUM_FRAMES, (SIZE, SIZE))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filter_source": "learnt"}, "`filter_source` must be one of"),
        ({"generator_input": "stem"}, "`generator_input` must be one of"),
        ({"normalization": "softmax"}, "Solved filters have negative taps"),
        ({"normalization": "l2"}, "`mode` must be one of"),
        ({"border": "wrap"}, "`border` must be one of"),
        ({"descriptor": "mean"}, "`head` must be one of"),
        ({"kernel_size": 4}, "`kernel_size` must be odd"),
        ({"segments": 0}, "`segments` must be at least 1. Received: segments=0"),
        ({"solver_maps": -1}, "must not be negative. Received: solver_maps=-1"),
        (
            {"descriptor_ridge": 0.0},
            "`descriptor_ridge` must be positive. Received: descriptor_ridge=0.0",
        ),
        (
            {"class_names": ["run"]},
            "`class_names` must have `num_classes` entries. "
            "Received: 1 names, num_classes=3",
        ),
    ],
)
def test_wrong_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        tiny_dynamonet(**arguments)


def test_a_loss_on_an_unknown_number_of_frames_raises(model):
    compile_eagerly(model)
    trace = tf.function(lambda clip: model.compute_loss(clip, y_pred=model(clip)))
    spec = tf.TensorSpec((2, None, SIZE, SIZE, 3), tf.uint8)
    with pytest.raises(ValueError, match="needs to know the number of frames"):
        trace.get_concrete_function(spec)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frame_loss": "mse"}, "A frame loss must be one of"),
        ({"loss": keras.losses.CategoricalCrossentropy()}, "`from_logits=True`"),
    ],
)
def test_losses_that_cannot_be_used_raise(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        model.compile("sgd", **arguments)


def test_around_a_classifier_the_logits_stay():
    classifier = tiny_backbone(num_classes=3, class_names=["a", "b", "c"], fps=8.0)
    randomise_weights(classifier)
    model = type(tiny_dynamonet()).from_backbone(classifier, kernel_size=3)
    assert (model.num_classes, model.fps) == (3, 8.0)
    assert model.class_names == ["a", "b", "c"]
    clips = random_clips(2)
    logits = apply(model, clips)["logits"]
    expected = classifier(clips[:, :NUM_FRAMES])
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_around_a_classifier_other_classes_get_a_fresh_head():
    classifier = randomise_weights(tiny_backbone(num_classes=3))
    model = type(tiny_dynamonet()).from_backbone(classifier, 5, kernel_size=3)
    clips = random_clips(2)
    outputs = apply(model, clips)
    assert outputs["logits"].shape == (2, 5)
    expected = classifier.get_layer("feature").output
    feature = keras.Model(classifier.input, expected)(clips[:, :NUM_FRAMES])
    np.testing.assert_allclose(outputs["feature"], feature, rtol=1e-4, atol=1e-4)


def test_around_a_bare_backbone_the_classes_must_be_given():
    with pytest.raises(ValueError, match="`num_classes` is needed"):
        type(tiny_dynamonet()).from_backbone(tiny_backbone())
