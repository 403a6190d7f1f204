import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters import c_api_client, encoded_frames
from keras_dynamonet.exporters.c_api_client import (
    ServedModel,
    ServingError,
    read_signatures,
)
from keras_dynamonet.exporters.c_api_server import CApiError, library_files
from keras_dynamonet.exporters.calibration import share_out
from keras_dynamonet.exporters.comparison import compare_artefact
from keras_dynamonet.exporters.encoded_frames import decode_clips
from keras_dynamonet.exporters.parity import ParityError, compare
from keras_dynamonet.exporters.saved_model import (
    SIGNATURES,
    SavedModelRunner,
    compare_signatures,
    encode_jpeg,
    export_saved_model,
    lint,
)
from keras_dynamonet.exporters.sidecar import sidecar_path
from keras_dynamonet.exporters.signature import CLASS_OUTPUTS, make_reference
from keras_dynamonet.exporters.source import ExportSource
from keras_dynamonet.exporters.warm_up import FILE
from tests.exporters.networks import moving_clips, tiny_network


@pytest.fixture(scope="module")
def exported(source, tmp_path_factory):
    return export_saved_model(source, tmp_path_factory.mktemp("export") / "model")


@pytest.fixture(scope="module")
def served(exported):
    with ServedModel(exported.path) as model:
        yield model


def test_every_signature_was_compared(source, exported):
    assert exported.parity
    outputs = {entry.output for entry in exported.parity.entries}
    assert outputs >= set(source.outputs)
    assert outputs >= {
        "serve_float/probabilities",
        "classify_bytes/probabilities",
        "embed/embedding",
        "predict_frames/next_frame",
    }
    document = json.loads(exported.sidecar.read_text())
    assert document["signatures"] == list(SIGNATURES)
    assert "TensorFlow C API" in document["parity"][0]["runtime"]


def test_comparing_once_more_takes_every_signature(source, exported):
    report = compare_artefact(source, exported.path)
    assert report
    assert [(entry.output, entry.clips) for entry in report.entries] == [
        (entry.output, entry.clips) for entry in exported.parity.entries
    ]


def test_signatures_that_the_sidecar_does_not_list_are_refused(
    source, exported, tmp_path
):
    path = tmp_path / "model"
    shutil.copytree(exported.path, path)
    sidecar = json.loads(exported.sidecar.read_text())
    sidecar["signatures"].remove("embed")
    sidecar_path(path).write_text(json.dumps(sidecar))
    with pytest.raises(
        UserError, match="model: has signatures that model.json does not"
    ):
        compare_artefact(source, path)
    (path / "assets.extra").mkdir(exist_ok=True)
    (path / "assets.extra" / "more").write_text("more")
    with pytest.raises(UserError, match="is not the SavedModel that model.json descri"):
        compare_artefact(source, path)


def test_pictures_are_proved_without_the_decoder_of_the_model(source):
    classify = make_reference(source.model, CLASS_OUTPUTS)
    changes = {
        "none": lambda clips: clips,
        "blue before red": lambda clips: clips[..., ::-1],
        "the last frame first": lambda clips: clips[:, ::-1],
        "a mirror": lambda clips: clips[:, :, :, ::-1],
        "a row lower": lambda clips: tf.roll(clips, 1, axis=2),
    }

    def passes(change):
        def run(signature, inputs):
            clips = decode_clips(tf.constant(inputs["frames"].tolist()), 16, 16)
            return classify(change(clips).numpy())

        pairs = compare_signatures(source, ["classify_bytes"], (), run)
        expected, received = ({k: v[i] for k, v in pairs.items()} for i in (0, 1))
        return bool(compare("model", expected, received))

    passed = [name for name, change in changes.items() if passes(change)]
    assert passed == ["none"]


def test_a_model_that_swaps_colours_is_not_kept(source, tmp_path, monkeypatch):
    crop = encoded_frames.centre_crop
    monkeypatch.setattr(
        encoded_frames, "centre_crop", lambda *sizes: crop(*sizes)[..., ::-1]
    )
    with pytest.raises(ParityError, match="classify_bytes/"):
        export_saved_model(source, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_network_without_classes_embeds(tmp_path):
    network = tiny_network(num_classes=1)
    outputs = ("embedding", "motion_filters", "next_frame")
    clips = share_out(moving_clips(40, 4, 16), 32)
    source = ExportSource(network, clips, outputs)
    result = export_saved_model(source, tmp_path / "model")
    assert result.parity
    signatures = read_signatures(result.path)
    assert set(signatures) == set(SIGNATURES) - {"classify_bytes"}
    assert set(signatures["serving_default"]["outputs"]) == set(outputs)


def test_signatures_are_named(source, exported):
    signatures = read_signatures(exported.path)
    assert set(signatures) == set(SIGNATURES)
    assert set(signatures["serving_default"]["inputs"]) == {"clip"}
    assert set(signatures["serving_default"]["outputs"]) == set(source.outputs)
    assert set(signatures["classify_bytes"]["inputs"]) == {"frames"}
    assert set(signatures["embed"]["outputs"]) == {"embedding"}


def test_thousand_requests_in_threads_without_keras(source, served):
    clips = source.clips.parity[:2]
    outputs = served.run("serving_default", {"clip": clips}, repeat=1000, threads=4)
    for name, value in outputs.items():
        np.testing.assert_allclose(
            value, source.expected[name][:2], rtol=1e-3, atol=1e-4, err_msg=name
        )
    known = {"tensorflow", "keras", "keras_dynamonet", "numpy"}
    assert not known & {module.partition(".")[0] for module in served.modules}


def test_a_processor_without_onednn_serves_the_same(
    source, exported, monkeypatch, tmp_path
):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    # What the kernels that are left refuse: so oneDNN is off in that process.
    save_grouped_convolution_with_bias(tmp_path)
    with ServedModel(tmp_path) as served:
        with pytest.raises(ServingError, match="not support grouped convolutions"):
            served.run("serving_default", {"x": np.ones((2, 8, 8, 4), "float32")})
    clips = source.clips.parity[:2]
    with ServedModel(exported.path) as served:
        outputs = served.run("serving_default", {"clip": clips})
    for name, value in outputs.items():
        np.testing.assert_allclose(
            value, source.expected[name][:2], rtol=1e-3, atol=1e-4, err_msg=name
        )


def save_grouped_convolution_with_bias(path):
    module = tf.Module()
    module.compute = tf.function(
        lambda x: {"y": tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias)},
        input_signature=[tf.TensorSpec((None, 8, 8, 4))],
    )
    kernel, bias = tf.ones((3, 3, 2, 4)), tf.ones(4)
    tf.saved_model.save(module, str(path), signatures=module.compute)


def test_errors_of_the_model_come_back(served):
    frames = np.full((1, 4), b"no picture", object)
    with pytest.raises(ServingError, match="(?i)jpeg|image|format"):
        served.run("classify_bytes", {"frames": frames})
    with pytest.raises(ServingError):
        served.run("embed", {"clip": np.zeros((1, 3, 16, 16, 3), "uint8")})


def test_errors_of_the_model_are_one_line(exported):
    frames = np.full((1, 4), b"no picture", object)
    with SavedModelRunner(exported.path) as runner:
        with pytest.raises(UserError, match="TensorFlow cannot run it: .*") as told:
            runner.run("classify_bytes", {"frames": frames})
    assert "\n" not in str(told.value) and "[[" not in str(told.value)


def test_frames_of_any_size_are_taken(source, served):
    wide = np.repeat(source.clips.parity[:1], 3, axis=3)  # 16 x 48 pixels
    received = served.run("classify_bytes", {"frames": encode_jpeg(wide, 100)})
    assert received["probabilities"].shape == (1, 5)


def test_keras_can_load_it_back(source, exported):
    loaded = tf.saved_model.load(str(exported.path))
    clips = tf.constant(source.clips.parity[:1])
    outputs = loaded.signatures["serving_default"](clip=clips)
    np.testing.assert_allclose(
        outputs["probabilities"], source.expected["probabilities"][:1], atol=1e-4
    )


def test_warm_up_requests_are_those_of_the_server(source, exported):
    pytest.importorskip("tensorflow_serving")
    from tensorflow_serving.apis import prediction_log_pb2

    seen = {}
    for record in tf.data.TFRecordDataset(str(exported.path / FILE)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        seen[request.model_spec.signature_name] = {
            name: tf.make_ndarray(value) for name, value in request.inputs.items()
        }
    assert set(seen) == set(SIGNATURES)
    np.testing.assert_array_equal(
        seen["serving_default"]["clip"], source.clips.parity[:1]
    )
    assert seen["classify_bytes"]["frames"].shape == (1, 4)


def test_warm_up_needs_an_extra(monkeypatch, tmp_path, caplog):
    import importlib.util

    from keras_dynamonet.exporters.warm_up import write_warm_up

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert write_warm_up(tmp_path, {}) == 0
    assert 'pip install "keras-dynamonet[serving]"' in caplog.text


def test_compiled_functions_are_found(tmp_path):
    module = tf.Module()

    @tf.function(jit_compile=True, input_signature=[tf.TensorSpec((2,))])
    def double(x):
        return {"y": 2 * x}

    tf.saved_model.save(module, str(tmp_path), signatures=double)
    with pytest.raises(
        UserError, match="must be compiled by XLA, which TensorFlow Ser"
    ):
        lint(tmp_path)
    with pytest.raises(UserError, match="^model: the function "):
        lint(tmp_path, "model")


def test_variables_are_found(tmp_path):
    module = tf.Module()
    module.scale = tf.Variable(2.0)
    module.double = tf.function(
        lambda x: {"y": module.scale * x}, input_signature=[tf.TensorSpec((2,))]
    )
    tf.saved_model.save(module, str(tmp_path), signatures=module.double)
    with pytest.raises(UserError, match="holds the variable .*weights must be const"):
        lint(tmp_path)


def test_a_process_that_has_died_is_an_error(source, exported):
    with pytest.raises(ServingError, match="process of the model has ended"):
        with ServedModel(exported.path) as model:
            model._process.kill()
            model._process.wait()
            model.run("serving_default", {"clip": source.clips.parity})
    assert model._process.stdin.closed and model._process.stdout.closed


@pytest.mark.parametrize(
    ("platform", "names"),
    [
        ("linux", ["libtensorflow_framework.so.2", "libtensorflow_cc.so.2"]),
        ("darwin", ["libtensorflow_framework.2.dylib", "libtensorflow_cc.2.dylib"]),
    ],
)
def test_libraries_have_the_names_of_the_platform(platform, names, tmp_path):
    with pytest.raises(CApiError, match="no C API to prove a SavedModel with"):
        library_files(str(tmp_path), platform)
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.touch()
    assert library_files(str(tmp_path), platform) == list(map(str, paths))


def test_a_tensorflow_without_the_c_api_is_one_line(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(c_api_client, "_library_folder", lambda: str(tmp_path))
    with pytest.raises(UserError, match=f"{exported.path}: .*on Linux, macOS or under"):
        SavedModelRunner(exported.path).run("embed", {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "saved_model.pb: No such file or directory"),
        (b"", "saved_model.pb is damaged: it holds no graph"),
        (b"\xff garbage", "saved_model.pb is damaged"),
    ],
)
def test_damaged_model_is_an_error(content, message, tmp_path):
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ServingError, match=message):
        ServedModel(tmp_path)
    with pytest.raises(UserError, match=f"TensorFlow cannot run it: {message}"):
        SavedModelRunner(tmp_path).run("embed", {})


def test_unknown_signatures_are_an_error(served):
    for signature, inputs in (("classify", {}), ("embed", {"frames": np.zeros(1)})):
        with pytest.raises(ServingError, match=f"it has no signature {signature}"):
            served.run(signature, inputs)
