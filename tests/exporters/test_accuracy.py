import contextlib
import json

import numpy as np
import pytest

from keras_dynamonet.data.manifest import load_manifest
from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters import accuracy
from keras_dynamonet.exporters.accuracy import AccuracyComparison, compare_accuracy
from keras_dynamonet.exporters.parity import compare
from keras_dynamonet.exporters.parity_report import write_parity
from keras_dynamonet.exporters.signature import make_reference
from keras_dynamonet.exporters.source import open_run
from keras_dynamonet.training.scores import Accuracy
from tests.exporters.written_artefacts import write_artefact


@pytest.fixture(scope="module")
def trained(trained_run):
    return open_run(trained_run.run.path)


@pytest.fixture
def judge(trained, action_videos, tmp_path, monkeypatch):
    """Compares a function from clips to outputs as if it were an artefact."""
    path = tmp_path / "model.onnx"

    def judge(run, precision="float32", outputs=("probabilities",), **kwargs):
        write_artefact(path, precision, outputs)
        monkeypatch.setattr(
            accuracy,
            "open_artefact",
            lambda path, format: contextlib.nullcontext((run, "runtime 1")),
        )
        manifest = load_manifest(
            action_videos, split="test", class_names=trained.class_names
        )
        (found,) = compare_accuracy(trained, [path], manifest, **kwargs)
        return found

    return judge


def make(wrong=0, agreement=1.0, absolute=0.0, precision="int8"):
    return AccuracyComparison(
        "a.onnx",
        "runtime 1",
        precision,
        Accuracy(180, 200),
        Accuracy(180 - wrong, 200),
        agreement,
        absolute,
    )


def test_the_network_agrees_with_itself(trained, judge):
    steps = []
    found = judge(
        make_reference(trained.model),
        progress=lambda *step: steps.append(step),
    )
    assert found
    assert (found.top1_agreement, found.lost_points) == (1.0, 0.0)
    assert found.keras == found.exported
    assert found.keras.total == 6
    assert found.max_absolute < 1e-6
    assert steps[0] == ("Keras", 6, 6) and steps[-1] == ("model.onnx", 6, 6)


def test_accuracies_are_those_of_the_labels(trained, judge):
    right = np.repeat(np.eye(3), 2, axis=0)  # down, left, right: two videos each
    found = judge(lambda clips: {"probabilities": right[: len(clips)]}, "int8")
    # The last of 8 clips of a batch are filled up: 6 are left.
    assert (found.exported.correct, found.exported.total) == (6, 6)
    reference = make_reference(trained.model, ["logits"])
    found = judge(reference, outputs=["logits"])
    assert found.max_absolute < 1e-6 and found


def test_artefacts_without_classes_cannot_be_judged(judge):
    with pytest.raises(UserError, match="gives neither probabilities nor logits"):
        judge(None, outputs=["embedding"])


def test_videos_without_labels_cannot_be_judged(trained, action_videos):
    manifest = load_manifest(action_videos, split="test", labelled=False)
    with pytest.raises(UserError, match="no video has a label"):
        list(compare_accuracy(trained, [], manifest))


def test_unreadable_videos_cannot_be_judged(trained, tmp_path):
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "a.mp4").write_bytes(b"no video")
    manifest = load_manifest(tmp_path, class_names=trained.class_names)
    with pytest.raises(UserError, match="none of the videos could be read"):
        list(compare_accuracy(trained, [], manifest))


@pytest.mark.parametrize(
    ("comparison", "problem"),
    [
        (make(wrong=3), "1.50 points of accuracy lost, at most 1 allowed"),
        (make(agreement=0.96), "agrees on 192 of 200 videos, 97% needed"),
        (make(absolute=np.nan), "not finite"),
        (make(absolute=2e-4, precision="float32"), "differ by 0.0002, allowed 0.0001"),
    ],
)
def test_what_does_not_hold_is_said(comparison, problem):
    (found,) = comparison.problems
    assert problem in found
    assert not comparison
    assert comparison.to_json()["passed"] is False


def test_a_point_may_be_lost_or_won():
    assert make(wrong=2, agreement=0.97, absolute=0.3)
    assert make(wrong=-5)
    assert make(wrong=-5).lost_points == pytest.approx(-2.5)


def test_accuracy_is_kept_in_the_report_until_the_artefact_is_new(tmp_path):
    outputs = {"logits": np.eye(3)}
    reports = [compare(name, outputs, outputs) for name in ("a.onnx", "b.onnx")]
    path = write_parity(tmp_path, reports, accuracy=[make(wrong=3)])
    text = (tmp_path / "parity.md").read_text()
    assert "| a.onnx | 200 | 90.00% | 88.50% | +1.50 | 100.00% | 0.0e+00 | FAIL" in text
    write_parity(tmp_path, reports[1:])
    assert json.loads(path.read_text())["accuracy"][0]["lost_points"] == 1.5
    write_parity(tmp_path, reports[:1])
    assert json.loads(path.read_text())["accuracy"] == []
