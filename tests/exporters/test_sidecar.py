import json

import pytest

from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters.sidecar import (
    ARTEFACT_KEYS,
    CLIP_KEYS,
    read_sidecar,
    sidecar_path,
)

ENGINE = {
    "flavour": "tensorrt_rtx",
    "version": "1.7",
    "compute_capabilities": ["8.9"],
    "batches": [1, 1, 8],
    "onnx_sha256": "00",
    "precision": "float32",
}
GOOD = {
    "format": "onnx",
    "precision": "float32",
    "outputs": {"logits": [None, 3]},
    "sha256": "00",
    "batch": None,
    "signatures": ["serving_default"],
    "engine": ENGINE,
    "clip_frames": 16,
    "frame_size": [32, 32],
    "fps": 12.5,
    "frame_stride": 1,
    "short_videos": "loop",
    "class_names": ["run", "walk"],
}


@pytest.fixture
def write(tmp_path):
    """Writes a sidecar with changes; a key that becomes `...` is left out."""

    def write(**changes):
        document = {k: v for k, v in {**GOOD, **changes}.items() if v is not ...}
        path = tmp_path / "model.onnx.json"
        path.write_text(json.dumps(document))
        return path

    return write


def test_sidecars_lie_beside_their_artefacts(tmp_path):
    assert sidecar_path(tmp_path / "a.onnx") == tmp_path / "a.onnx.json"
    assert sidecar_path(tmp_path / "1") == tmp_path / "1.json"


def test_whole_sidecars_are_taken(write):
    assert read_sidecar(write(), needs=(*ARTEFACT_KEYS, *CLIP_KEYS)) == GOOD
    few = {key: ... for key in GOOD if key not in ARTEFACT_KEYS}
    assert set(read_sidecar(write(**few))) == set(ARTEFACT_KEYS)
    assert read_sidecar(write(batch=4, fps=None, class_names=None))["batch"] == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": ...}, "it lacks `precision`"),
        ({"outputs": ..., "sha256": ...}, "it lacks `outputs`, `sha256`"),
        ({"format": "onxx"}, "`format` must be one of saved_model, onnx, .*'onxx'"),
        ({"format": ["onnx"]}, "`format` must be one of"),
        ({"precision": "float8"}, "`precision` must be one of float32, .*'float8'"),
        ({"precision": []}, "`precision` must be one of"),
        ({"outputs": {}}, "`outputs` must be shapes by .*at least one. Received: {}"),
        ({"outputs": 5}, "`outputs` must be shapes .* Received: 5"),
        ({"outputs": list(range(99))}, r"Received: \[0, 1, .*\.\.\.\."),
        ({"sha256": None}, "`sha256` must be a hash"),
        ({"batch": "x"}, "`batch` must be null or at least 1. Received: 'x'"),
        ({"batch": 0}, "`batch` must be null or at least 1"),
        ({"batch": True}, "`batch` must be null or at least 1"),
        ({"signatures": "embed"}, "`signatures` must be a list of names"),
        ({"engine": {**ENGINE, "batches": [4, 1, 8]}}, "`engine` must be the record"),
        ({"engine": {**ENGINE, "version": 1.7}}, "`engine` must be the record"),
        ({"engine": {}}, "`engine` must be the record"),
        ({"clip_frames": "16"}, "`clip_frames` must be at least 1"),
        ({"frame_size": 32}, "`frame_size` must be height and width"),
        ({"fps": 0}, "`fps` must be null or above 0"),
        ({"frame_stride": None}, "`frame_stride` must be at least 1"),
        ({"short_videos": "cut"}, "`short_videos` must be one of loop, hold, skip"),
        ({"class_names": [1]}, "`class_names` must be null or a list of names"),
    ],
)
def test_damaged_sidecars_are_told_in_a_line(write, changes, message):
    path = write(**changes)
    message = f"{path.name}: is not the sidecar of an artefact: .*{message}"
    with pytest.raises(UserError, match=message) as caught:
        read_sidecar(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"{", "is no JSON file"),
        (b"\xff", "is no JSON file"),
        (b"[" * 100_000, "is no JSON file"),
        (b"5", "is not the sidecar of an artefact: it is no JSON object"),
    ],
)
def test_other_files_are_told_in_a_line(content, message, tmp_path):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"a.json: {message}"):
        read_sidecar(path)


def test_programs_say_which_sidecar_they_need(write):
    for format, kind in (("saved_model", "a SavedModel"), ("tensorrt", "an engine")):
        with pytest.raises(UserError, match=f"not the sidecar of {kind}: its `format`"):
            read_sidecar(write(), format=format)
    path = write(format="saved_model", clip_frames=...)
    assert read_sidecar(path, format="saved_model")
    with pytest.raises(UserError, match="it lacks `clip_frames`"):
        read_sidecar(path, format="saved_model", needs=CLIP_KEYS)
