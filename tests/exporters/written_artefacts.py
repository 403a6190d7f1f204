"""Artefacts that no runtime loads, with the sidecars of real ones."""

import json

from keras_dynamonet.exporters.sidecar import sidecar_path
from keras_dynamonet.exporters.source import file_sha256


def write_artefact(path, precision="float32", outputs=("logits",), **entries):
    """Writes an empty ONNX file and its sidecar; returns its path."""
    path.write_text("")
    sidecar = {
        "format": "onnx",
        "precision": precision,
        "outputs": dict.fromkeys(outputs),
        "sha256": file_sha256(path),
        **entries,
    }
    sidecar_path(path).write_text(json.dumps(sidecar))
    return path
