import importlib.util
from pathlib import Path

import pytest

from keras_dynamonet.errors import MissingExtraError, UsageError
from keras_dynamonet.exporters.formats import FORMATS, plan, target_paths


def test_every_format_in_every_precision():
    jobs = plan(["onnx", "tflite"], ["float32", "int8"])
    names = [path.name for path in target_paths(Path("out"), "net", jobs)]
    assert names == ["net.onnx", "net.int8.onnx", "net.tflite", "net.int8.tflite"]


@pytest.mark.parametrize(
    ("formats", "precisions", "options", "message"),
    [
        (["onxx"], ["float32"], (), "no format 'onxx'. Choose from: saved_model, onnx"),
        (["onnx"], ["int4"], (), "There is no precision 'int4'. Choose from: bfloat16"),
        ([], ["float32"], (), "Name at least one format and one precision"),
        (
            ["saved_model"],
            ["int8"],
            (),
            "saved_model comes in float32, not in int8. For int8 use: onnx, tflite",
        ),
        (["onnx"], ["bfloat16"], (), "not in bfloat16. For bfloat16 use: tensorrt"),
        (["saved_model"], ["float32"], ("opset",), "--opset is for onnx only"),
    ],
)
def test_impossible_combinations_are_refused(formats, precisions, options, message):
    with pytest.raises(UsageError, match=message):
        plan(formats, precisions, options)


@pytest.mark.parametrize("name", ["onnx", "tflite", "tensorrt"])
def test_missing_extra_is_named(name, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(
        MissingExtraError, match=rf"--format {name} needs an extra: pip"
    ):
        FORMATS[name].exporter()


def test_saved_models_need_no_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    assert callable(FORMATS["saved_model"].exporter())
