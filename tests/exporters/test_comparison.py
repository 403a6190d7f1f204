import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters import comparison
from keras_dynamonet.exporters.calibration import share_out
from keras_dynamonet.exporters.comparison import (
    artefact_names,
    batch_sizes,
    compare_artefact,
    tell_other_origin,
)
from keras_dynamonet.exporters.sidecar import sidecar_path
from keras_dynamonet.exporters.source import ExportSource
from tests.exporters.written_artefacts import write_artefact


@pytest.fixture
def answer(source, monkeypatch):
    """Artefacts give what Keras does, and more outputs if they are told to."""

    def answer(**more):
        rows = iter(np.split(np.arange(36), [1, 4, 12, 13, 16, 24, 25, 28]))

        def run(clips):
            chosen = next(rows)
            assert len(chosen) == len(clips)
            return {
                name: value[chosen]
                for name, value in {"logits": source.expected["logits"], **more}.items()
            }

        opened = contextlib.nullcontext((run, "runtime 1"))
        monkeypatch.setattr(comparison, "open_artefact", lambda *_: opened)

    return answer


def test_artefacts_are_compared_once_more(source, answer, tmp_path):
    answer()
    report = compare_artefact(source, write_artefact(tmp_path / "a.onnx"))
    assert report and not report.weak
    assert [entry.output for entry in report.entries] == ["logits"]
    assert report.entries[0].distinct_clips == 36


def test_outputs_that_the_sidecar_does_not_list_fail(source, answer, tmp_path):
    answer(hidden=np.ones((36, 2)))
    report = compare_artefact(source, write_artefact(tmp_path / "a.onnx"))
    assert [(e.output, e.passed) for e in report.entries] == [
        ("logits", True),
        ("hidden", False),
    ]
    assert "not listed among its outputs" in report.entries[1].problems[0]


def test_sidecars_of_other_artefacts_are_refused(source, tmp_path):
    path = write_artefact(tmp_path / "a.onnx")
    path.write_text("another network")
    with pytest.raises(UserError, match="a.onnx: is not the artefact that a.onnx.json"):
        compare_artefact(source, path)


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (
            {"sha256": "b" * 64},
            "a.onnx: was exported from another file (SHA-256 bbbbbbbb) than "
            "best.keras (aaaaaaaa). Export again, or",
        ),
        ({"sha256": "a" * 64}, None),
        ({"sha256": None}, None),
        ({"sha256": 1}, None),
        (None, None),
        ("best.keras", None),
    ],
)
def test_artefacts_of_other_files_are_told(source, told, line):
    one = replace(source, path=Path("best.keras"), sha256="a" * 64)
    found = tell_other_origin(one, "a.onnx", {"source": told})
    assert found is None if line is None else found.startswith(line)
    assert tell_other_origin(one, "a.onnx", {}) is None
    # A network that comes from no file.
    assert tell_other_origin(source, "a.onnx", {"source": {"sha256": "b"}}) is None


def test_unknown_outputs_are_refused(source, tmp_path):
    path = write_artefact(tmp_path / "a.onnx", outputs=("logits", "boxes"))
    with pytest.raises(UserError, match="Keras was not asked for: .'boxes'"):
        compare_artefact(source, path)


def test_missing_files_are_told(source, tmp_path):
    path = tmp_path / "a.onnx"
    with pytest.raises(UserError, match="a.onnx: no such artefact"):
        compare_artefact(source, path)
    sidecar_path(write_artefact(path)).unlink()
    with pytest.raises(UserError, match="a.onnx: has no sidecar a.onnx.json"):
        compare_artefact(source, path)


def test_clips_that_are_all_alike_are_to_blame(source, tmp_path):
    clips = share_out(np.repeat(source.clips.parity[:1], 36, axis=0), 36, 0)
    still = ExportSource(source.model, clips, ("logits",))
    with pytest.raises(UserError, match="array: proves nothing: Keras itself gives"):
        compare_artefact(still, write_artefact(tmp_path / "a.onnx"))


def test_batches_are_those_that_the_sidecar_allows():
    assert batch_sizes({"batch": None}) == (1, 3, 8)
    assert batch_sizes({"batch": 2}) == (2,)
    assert batch_sizes({"engine": {"batches": [2, 2, 2]}}) == (2,)


def test_names_tell_artefacts_apart():
    assert artefact_names(["a/1.onnx", "b/1.onnx"]) == ["a/1.onnx", "b/1.onnx"]
    assert artefact_names(["a/1.onnx", "b/2.onnx"]) == ["1.onnx", "2.onnx"]
