"""A SavedModel in a process that knows nothing of Keras or of this library."""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_SERVER = Path(__file__).with_name("c_api_server.py")


class ServingError(RuntimeError):
    """The other process could not load the model, or could not answer."""


class ServedModel:
    """A SavedModel loaded through TensorFlow's C API in another process.

    That process calls `TF_LoadSessionFromSavedModel` in the shared library of the
    installed wheel with XLA disabled, as TensorFlow Serving does; see
    `c_api_server.py`. Use as a context manager.

    Args:
        path: Folder of the SavedModel.

    Raises:
        ServingError: If it cannot be loaded.

    Example:

    ```python
    with ServedModel("export/saved_model") as served:
        served.run("serving_default", {"clip": clips})["probabilities"]
    ```
    """

    def __init__(self, path: str | os.PathLike):
        self.signatures = read_signatures(path)
        self._process = subprocess.Popen(
            # -I: without the folder of the script and of the user in the path.
            [sys.executable, "-I", str(_SERVER), _library_folder(), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        )
        try:
            self.modules = self._receive()["modules"]
        except ServingError:
            self.close()
            raise

    def __enter__(self) -> "ServedModel":
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Ends the other process."""
        with contextlib.suppress(BrokenPipeError):  # it has ended by itself
            self._process.stdin.close()
        # First: with nobody to read them it would wait for its answers to be read.
        self._process.stdout.close()
        self._process.wait()

    def run(
        self,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        *,
        repeat: int = 1,
        threads: int = 1,
    ) -> dict[str, np.ndarray]:
        """Sends a request.

        Args:
            signature: Name of a signature.
            inputs: Arrays by name: uint8, float32, or bytes objects.
            repeat: How often the request is run.
            threads: Threads that share the repetitions.

        Returns:
            Outputs by name.

        Raises:
            ServingError: If the model has no such signature, answers with an error, or
                in one of the repetitions with other bits than in the first, or its
                process has ended.
        """
        described = self.signatures.get(signature)
        if described is None or not set(inputs) <= set(described["inputs"]):
            asked = f"{signature}({', '.join(inputs)})"
            raise ServingError(f"it has no signature {asked}")
        parts, data = [], []
        for name, value in inputs.items():
            part, content = _pack(np.asarray(value))
            parts.append({"tensor": described["inputs"][name], **part})
            data.append(content)
        names = list(described["outputs"])
        request = {
            "inputs": parts,
            "outputs": [described["outputs"][name] for name in names],
            "repeat": repeat,
            "threads": threads,
        }
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            for content in data:
                self._process.stdin.write(content)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise ServingError("the process of the model has ended") from error
        header = self._receive()
        outputs = [self._receive_array(part) for part in header["outputs"]]
        if header["differing"]:
            raise ServingError(
                f"{header['differing']} of {repeat} answers differ from the first"
            )
        return dict(zip(names, outputs, strict=True))

    def _receive(self):
        line = self._process.stdout.readline()
        if not line:
            raise ServingError("the process of the model has ended")
        header = json.loads(line)
        if "error" in header:
            raise ServingError(header["error"])
        return header

    def _receive_array(self, part):
        dtype = np.dtype(part["dtype"])
        size = dtype.itemsize * int(np.prod(part["shape"], dtype=np.int64))
        data = self._process.stdout.read(size)
        if len(data) < size:
            raise ServingError("the process of the model has ended")
        return np.frombuffer(data, dtype).reshape(part["shape"])


def runtime_name() -> str:
    """What computes in the other process, with its version."""
    import tensorflow as tf

    return f"TensorFlow C API {tf.__version__}"


def read_signatures(path: str | os.PathLike) -> dict[str, dict[str, dict[str, str]]]:
    """Names of the tensors of a SavedModel, by signature, `inputs` and `outputs`.

    Raises:
        ServingError: If `saved_model.pb` is missing or damaged.
    """
    meta_graph = read_meta_graph(path)
    return {
        name: {
            "inputs": {key: info.name for key, info in signature.inputs.items()},
            "outputs": {key: info.name for key, info in signature.outputs.items()},
        }
        for name, signature in meta_graph.signature_def.items()
        if not name.startswith("__")  # TensorFlow's own
    }


def read_meta_graph(path: str | os.PathLike):
    """The `MetaGraphDef` of a SavedModel for serving.

    Raises:
        ServingError: If `saved_model.pb` is missing or damaged.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    document = saved_model_pb2.SavedModel()
    try:
        document.ParseFromString((Path(path) / "saved_model.pb").read_bytes())
    except OSError as error:
        raise ServingError(f"saved_model.pb: {error.strerror}") from error
    except DecodeError as error:
        raise ServingError("saved_model.pb is damaged") from error
    if not document.meta_graphs:
        raise ServingError("saved_model.pb is damaged: it holds no graph")
    return document.meta_graphs[0]


def _library_folder():
    return str(Path(importlib.util.find_spec("tensorflow").origin).parent)


def _pack(value):
    if value.dtype.kind in "OS":
        strings = [bytes(string) for string in value.flat]
        lengths = [len(string) for string in strings]
        part = {"dtype": "string", "shape": list(value.shape), "lengths": lengths}
        return part, b"".join(strings)
    value = np.ascontiguousarray(value)
    return {"dtype": value.dtype.name, "shape": list(value.shape)}, value.tobytes()
