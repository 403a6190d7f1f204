"""What people who know Keras write, beside what the README shows."""

from importlib.metadata import version

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.models import DynamoNet
from tests.fresh_process import run_python
from tests.models.samples import random_clips, tiny_backbone, tiny_dynamonet

LABELS = np.array([0, 1, 2, 1])


def compiled(**arguments):
    keras.utils.set_random_seed(0)
    model = tiny_dynamonet()
    model.compile("sgd", run_eagerly=True, **arguments)
    return model


def first_losses(model, *batch, **kwargs):
    return model.train_on_batch(*batch, return_dict=True, **kwargs)


@pytest.mark.parametrize("loss_weights", [2.0, [2.0], {"logits": 2.0}])
def test_loss_weights_are_refused_rather_than_ignored(loss_weights):
    with pytest.raises(ValueError, match="Here it is `action_loss_weight`"):
        compiled(loss_weights=loss_weights)


def test_dictionaries_may_name_the_logits():
    clips = random_clips()
    plain = compiled(
        loss="sparse_categorical_crossentropy",
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="own")],
    )
    named = compiled(
        loss={"logits": "sparse_categorical_crossentropy"},
        metrics={"logits": keras.metrics.SparseCategoricalAccuracy(name="own")},
    )
    weight = np.array([1.0, 2.0, 0.0, 1.0])
    assert first_losses(plain, clips, LABELS, sample_weight=weight) == first_losses(
        named, clips, {"logits": LABELS}, sample_weight=weight
    )


@pytest.mark.parametrize("argument", ["loss", "metrics", "weighted_metrics"])
def test_dictionaries_may_name_no_other_output(argument):
    with pytest.raises(ValueError, match=f"`{argument}` may be a dictionary with an"):
        compiled(**{argument: {"next_frames": "mse"}})


@pytest.mark.parametrize(
    ("name", "loss", "labels"),
    [
        (
            "categorical_focal_crossentropy",
            keras.losses.CategoricalFocalCrossentropy,
            np.eye(3)[LABELS],
        ),
    ],
)
def test_every_cross_entropy_has_a_name(name, loss, labels):
    found = first_losses(compiled(loss=name), random_clips(), labels)
    own = first_losses(compiled(loss=loss(from_logits=True)), random_clips(), labels)
    assert found == own


def test_truth_values_are_labels():
    numbers = first_losses(compiled(), random_clips(), np.array([0, 1, 1, 0]))
    truths = first_losses(compiled(), random_clips(), np.array([0, 1, 1, 0], bool))
    assert truths == numbers


def test_grey_frames_are_refused():
    with pytest.raises(ValueError, match="A frame must have 3 channels, red, green"):
        compiled()(random_clips()[..., :1])
    with pytest.raises(ValueError, match="A frame must have 3 channels, red, green"):
        tiny_backbone()(random_clips(frames=4)[..., :1])


def test_an_own_training_step_is_told_to_give_the_clips():
    model = compiled()
    clips = random_clips()
    with pytest.raises(ValueError, match="needs `x`, the clips"):
        model.compute_loss(y=LABELS, y_pred=model(clips))


@pytest.mark.long
def test_a_dataset_may_not_know_the_shape_of_its_clips():
    clips, labels = random_clips(), LABELS
    known = tf.data.Dataset.from_tensor_slices((clips, labels)).batch(2)

    def losses(dataset):
        keras.utils.set_random_seed(0)
        model = tiny_dynamonet()
        model.compile("sgd", jit_compile=False)
        return model.fit(dataset, shuffle=False, verbose=0).history

    expected = losses(known)
    for sizes in ((None, None, 3), (None, None, None)):
        clip = tf.TensorSpec((None, 5, *sizes), "uint8")
        unknown = tf.data.Dataset.from_generator(
            lambda: iter(known), output_signature=(clip, tf.TensorSpec((None,)))
        )
        for name, values in losses(unknown).items():
            np.testing.assert_allclose(values, expected[name], rtol=1e-4, err_msg=name)


def test_a_classifier_of_clips_of_unknown_shape():
    model = tiny_backbone(num_classes=3)
    clips = random_clips(frames=4)

    @tf.function(input_signature=[tf.TensorSpec((None,) * 5, "uint8")])
    def classify(clips):
        return model(clips)

    np.testing.assert_allclose(classify(clips), model(clips), atol=1e-5)


def test_a_classifier_in_half_precision_scales_its_loss():
    classifier = tiny_backbone(num_classes=3, dtype="mixed_float16")
    assert classifier.dtype_policy.name == "mixed_float16"
    for model in (
        classifier,
        DynamoNet.from_backbone(classifier),
        DynamoNet(tiny_backbone(dtype="mixed_float16"), 3),
    ):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss)
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)


def test_clips_of_another_size_are_refused_where_the_size_is_not_known():
    """They may have as many pixels: upright videos among those that lie."""

    def clips():
        yield random_clips().reshape(4, 5, 8, 32, 3), LABELS

    signature = (
        tf.TensorSpec((None, 5, None, None, 3), "uint8"),
        tf.TensorSpec((None,)),
    )
    dataset = tf.data.Dataset.from_generator(clips, output_signature=signature)
    model = tiny_dynamonet()
    model.compile("sgd", jit_compile=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="8,32,3"):
        model.fit(dataset, verbose=0)


def test_a_list_or_a_dictionary_may_hold_the_clips():
    model = tiny_backbone(num_classes=3)
    clips = random_clips(frames=4)
    expected = model(clips)
    np.testing.assert_array_equal(model([clips]), expected)
    np.testing.assert_array_equal(model({"clip": clips}), expected)
    np.testing.assert_allclose(
        model.predict({"clip": clips}, verbose=0), expected, atol=1e-6
    )
    inputs = keras.Input((4, 16, 16, 3))
    outer = keras.Model(inputs, model([inputs]))
    np.testing.assert_allclose(outer(clips), expected, atol=1e-6)


def test_a_file_with_weights_of_losses_loads_without():
    model = compiled()
    model.compile_from_config({**model.get_compile_config(), "loss_weights": [2.0]})
    assert model.compiled


@pytest.mark.parametrize("build", [tiny_dynamonet, tiny_backbone])
def test_the_quantisation_of_keras_is_refused(build):
    with pytest.raises(NotImplementedError, match="dynamonet export RUN --format onnx"):
        build().quantize("int8")


def test_double_precision_trains():
    single = compiled()
    model = tiny_dynamonet(dtype="float64")
    model.set_weights(single.get_weights())
    model.compile("sgd", run_eagerly=True)
    losses = first_losses(model, random_clips(), LABELS)
    assert losses["loss"] == pytest.approx(
        first_losses(single, random_clips(), LABELS)["loss"], rel=1e-4
    )


@pytest.mark.parametrize(
    "floatx", [pytest.param("float64", marks=pytest.mark.long), "bfloat16"]
)
def test_other_types_may_be_the_default_of_keras(floatx):
    if floatx == "bfloat16" and version("tensorflow").startswith("2.20."):
        pytest.skip("TensorFlow 2.20 hands no bfloat16 number to NumPy")
    run_python(
        "-c",
        f"""
import keras, numpy as np
keras.config.set_floatx({floatx!r})
from tests.models.samples import random_clips, tiny_dynamonet
model = tiny_dynamonet()
model.compile("sgd", run_eagerly=True)
losses = model.train_on_batch(random_clips(), np.array([0, 1, 2, -1]), return_dict=True)
assert np.isfinite(float(losses["loss"])), losses
""",
    )


@pytest.mark.long
def test_numbers_may_be_checked():
    run_python(
        "-c",
        """
import tensorflow as tf, numpy as np
tf.debugging.enable_check_numerics()
from tests.models.samples import random_clips, tiny_dynamonet
model = tiny_dynamonet()
model.compile("sgd", run_eagerly=True)
model.fit(random_clips(), np.array([0, 1, 2, -1]), verbose=0)
""",
    )


def run_saved_model(path, clips):
    served = tf.saved_model.load(path)
    return {name: value.numpy() for name, value in served.serve(clips).items()}


def run_onnx(path, clips):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    (clip,) = session.get_inputs()
    return dict(zip(names, session.run(None, {clip.name: clips}), strict=True))


def run_litert(path, clips):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    signature = interpreter(str(path)).get_signature_runner()
    (clip,) = signature.get_input_details()
    return signature(**{clip: clips})


@pytest.mark.parametrize(
    ("form", "name", "run", "segments"),
    [
        pytest.param(
            *("tf_saved_model", "served", run_saved_model, 1), marks=pytest.mark.long
        ),
        pytest.param(
            *("tf_saved_model", "served", run_saved_model, 2), marks=pytest.mark.long
        ),
        ("onnx", "tiny.onnx", run_onnx, 2),
        pytest.param(
            "litert",
            "tiny.tflite",
            run_litert,
            2,
            marks=[
                pytest.mark.long,
                pytest.mark.skipif(
                    keras.__version__.startswith("3.12."),
                    reason="Keras has no such format",
                ),
            ],
        ),
    ],
)
def test_keras_exports_a_network_that_was_only_loaded(
    tmp_path, form, name, run, segments
):
    tiny_dynamonet(segments=segments).save(tmp_path / "tiny.keras")
    model = keras.saving.load_model(tmp_path / "tiny.keras")
    config = model.solver.method, model.frame_filter.form
    model.export(tmp_path / name, form, False)  # In Keras's order.
    assert (model.solver.method, model.frame_filter.form) == config
    clips = random_clips(1, frames=model.num_frames).astype("float32")
    expected = model.predict(clips, verbose=0)
    found = run(tmp_path / name, clips)
    assert found.keys() == expected.keys()
    for output, value in found.items():
        np.testing.assert_allclose(value, expected[output], atol=1e-4, err_msg=output)


def test_keras_exports_with_the_signature_that_is_asked_for(tmp_path):
    model = tiny_dynamonet()
    clips = random_clips(2)
    signature = [keras.InputSpec(shape=clips.shape, dtype="uint8")]
    model.export(tmp_path / "served", input_signature=signature, verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    (spec,) = (
        served.signatures["serving_default"].structured_input_signature[1].values()
    )
    assert (spec.shape, spec.dtype) == (clips.shape, tf.uint8)
