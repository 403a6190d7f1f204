import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters import signature
from keras_dynamonet.exporters.folding import fold
from keras_dynamonet.exporters.signature import (
    OUTPUTS,
    ExportSignature,
    check_outputs,
    compute_outputs,
    make_inference_function,
    make_reference,
    require_tensorflow_backend,
)
from tests.exporters.networks import moving_clips, tiny_network


@pytest.fixture(scope="module")
def network():
    return tiny_network()


@pytest.mark.parametrize(
    ("clips_at_a_time", "sizes"), [(0.5, [1] * 5), (2.9, [2, 2, 1]), (784, [5])]
)
def test_batches_have_about_as_many_pixels(
    network, monkeypatch, clips_at_a_time, sizes
):
    found = []

    def compute(model, clips, outputs):
        found.append(len(clips))
        return {"logits": np.asarray(clips)[:, 0, 0, 0]}

    monkeypatch.setattr(signature, "compute_outputs", compute)
    # The usual number stands for 784 of these small clips.
    if clips_at_a_time != 784:
        pixels = int(clips_at_a_time * 4 * 16 * 16)
        monkeypatch.setattr(signature, "_PIXELS", pixels)
    assert signature._PIXELS // (4 * 16 * 16) == int(clips_at_a_time)
    clips = moving_clips(5, 4, 16)
    outputs = make_reference(network, ["logits"])(clips)
    assert found == sizes
    np.testing.assert_array_equal(outputs["logits"], clips[:, 0, 0, 0])


def test_outputs_are_what_their_names_say(network):
    clips = moving_clips(3, 4, 16)
    outputs = make_reference(network, batch_size=2)(clips)
    raw = {name: np.asarray(value) for name, value in network(clips).items()}
    assert tuple(outputs) == OUTPUTS
    odds = np.exp(raw["logits"])
    expected = {
        "probabilities": odds / odds.sum(axis=1, keepdims=True),
        "logits": raw["logits"],
        "embedding": np.hstack([raw["feature"], raw["dmr"]]),
        "motion_filters": raw["motion_filters"],
        "next_frame": raw["next_frames"][:, -1],
    }
    for name, value in expected.items():
        # Batches of another size round otherwise: 1e-5 of values up to 2, measured
        # over four seeds, and the ill-conditioned filters are the worst.
        atol = 1e-4 if name == "motion_filters" else 3e-5
        np.testing.assert_allclose(outputs[name], value, atol=atol, err_msg=name)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_inference_function_has_no_variables_and_takes_any_batch(network, dtype):
    outputs = ["next_frame", "probabilities"]
    function = make_inference_function(fold(network), outputs, dtype=dtype)
    assert not function.concrete.variables
    clips = moving_clips(3, 4, 16)
    expected = make_reference(network, outputs)(clips)
    for count in (1, 3):
        received = function(tf.cast(clips[:count], dtype))
        assert list(received) == outputs
        for name in outputs:
            np.testing.assert_allclose(
                received[name], expected[name][:count], atol=1e-4, err_msg=name
            )
    nodes = {node.name: node for node in function.graph_def.node}
    assert {"clip", *outputs} <= set(nodes)


def test_fixed_batch(network):
    function = make_inference_function(fold(network), ["logits"], batch=2)
    assert function.concrete.inputs[0].shape == (2, 4, 16, 16, 3)


def test_outputs_of_a_network_on_half_the_bytes_are_float32():
    network = tiny_network(dtype="mixed_bfloat16")
    outputs = compute_outputs(network, moving_clips(1, 4, 16))
    assert {value.dtype.name for value in outputs.values()} == {"float32"}


def test_signature_of_a_network(network):
    signature = ExportSignature.of(network, ["logits"], batch=2)
    assert signature == ExportSignature(4, 16, 16, ("logits",), 2)
    assert signature.clip_spec().name == "clip"


def test_unknown_output_is_refused():
    with pytest.raises(UserError, match="No output is called 'logit'. Choose from: p"):
        check_outputs(["logit"])


@pytest.mark.parametrize("outputs", [[], ["logits", "logits"]])
def test_outputs_must_be_there_once(outputs):
    with pytest.raises(UserError, match="Name each output once, and at least one"):
        ExportSignature(4, 16, 16, outputs)


def test_other_backends_are_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UserError, match="Exports need Keras on TensorFlow, but it"):
        require_tensorflow_backend()
