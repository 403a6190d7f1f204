import importlib.util

import numpy as np
import pytest

from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters import runtimes
from keras_dynamonet.exporters.runtimes import RUNTIMES, Loaded, kind_of, runtimes_for


def loaded(shape, dtype="uint8"):
    return Loaded(lambda clips: {}, shape, dtype, "none")


def test_kinds_are_told_by_name_and_content(tmp_path):
    for name in ("a.keras", "a.onnx", "a.tflite", "a.engine"):
        (tmp_path / name).touch()
        assert kind_of(str(tmp_path / name)) == name.removeprefix("a.")
    (tmp_path / "run").mkdir()
    assert kind_of(str(tmp_path / "run")) == "keras"
    (tmp_path / "run" / "saved_model.pb").touch()
    assert kind_of(str(tmp_path / "run")) == "saved_model"
    assert kind_of("resnext101-16f") == kind_of("mocap25-nano") == "keras"
    with pytest.raises(UserError, match="none.onnx: no such file"):
        kind_of(str(tmp_path / "none.onnx"))
    with pytest.raises(UserError, match="nano: nothing of that name.*nano-16f"):
        kind_of("nano")


def test_runtimes_are_chosen_by_kind_and_name(monkeypatch):
    names = [runtime.name for runtime in runtimes_for("nano-16f")]
    assert names == ["keras-predict", "keras-function"]
    (only,) = runtimes_for("nano-16f", ("onnxruntime", "keras-function"))
    assert only.name == "keras-function"
    with pytest.raises(UserError, match="no runtime 'onnx'. Choose from: keras-pred"):
        runtimes_for("nano-16f", ("onnx",))
    with pytest.raises(
        UserError, match="run by keras-predict or keras-function, not openvino"
    ):
        runtimes_for("nano-16f", ("openvino",))
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="nano-16f: needs keras, which is not inst"):
        runtimes_for("nano-16f")


def test_a_runtime_that_is_named_must_be_installed(tmp_path, monkeypatch):
    (tmp_path / "a.onnx").touch()
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        runtimes.importlib.util,
        "find_spec",
        lambda name: None if name == "openvino" else find_spec(name),
    )
    (only,) = runtimes_for(str(tmp_path / "a.onnx"))
    assert only.name == "onnxruntime"
    with pytest.raises(UserError, match="a.onnx: needs openvino, which is not inst"):
        runtimes_for(str(tmp_path / "a.onnx"), ("onnxruntime", "openvino"))


def test_clips_of_noise_fit_the_input():
    clips = loaded((None, 4, 8, 8, 3)).random_clips(2)
    assert (clips.shape, clips.dtype) == ((2, 4, 8, 8, 3), np.uint8)
    assert clips.std() > 60
    assert loaded((3, 3, 4, 8, 8), "float32").random_clips(3).dtype == np.float32
    with pytest.raises(UserError, match="takes batches of 3 only, not of 2. Give --b"):
        loaded((3, 4, 8, 8, 3)).random_clips(2)
    with pytest.raises(UserError, match="no fixed size"):
        loaded((None, None, 8, 8, 3)).random_clips(2)


def test_engines_are_refused_as_the_runner_refuses_them(tmp_path):
    (tmp_path / "net.engine").write_bytes(b"engine")
    with pytest.raises(UserError, match="An engine needs its sidecar beside it"):
        RUNTIMES["tensorrt"].load(str(tmp_path / "net.engine"), 1)
