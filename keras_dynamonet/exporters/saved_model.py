"""SavedModels for TensorFlow Serving, with weights as constants."""

import contextlib
import gc
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_dynamonet.errors import UserError, first_line
from keras_dynamonet.exporters.artefact import (
    ExportResult,
    export_artefact,
    size_of,
)
from keras_dynamonet.exporters.c_api_client import (
    ServedModel,
    ServingError,
    read_meta_graph,
    runtime_name,
)
from keras_dynamonet.exporters.folding import fold, in_float32
from keras_dynamonet.exporters.parity import Pairs, ParityReport
from keras_dynamonet.exporters.saved_model_graph import (
    FRAME_OUTPUTS,
    write_saved_model,
)
from keras_dynamonet.exporters.signature import (
    CLASS_OUTPUTS,
    OUTPUTS,
    make_inference_function,
    make_reference,
)
from keras_dynamonet.exporters.source import ExportSource
from keras_dynamonet.exporters.warm_up import write_warm_up

SIGNATURES = (
    "serving_default",
    "serve_float",
    "classify_bytes",
    "embed",
    "predict_frames",
)
FOLDED = {"conv_form": "planar", "stem_form": "native", "filter_form": "patches"}
"""Forms of the layers, see :func:`~keras_dynamonet.exporters.folding.fold`: those of
TensorFlow with oneDNN in :data:`~keras_dynamonet.layers.convolution_forms.CPU_FORMS`,
wherever the file is written. Without oneDNN it serves the same, more slowly."""
# So many clips for the signatures that share the network with `serving_default`.
_OTHER_CLIPS = 32
_LARGE_BYTES = 50_000_000


def export_saved_model(
    source: ExportSource,
    target: str | os.PathLike,
    *,
    overwrite: bool = False,
    on_report: Callable[[ParityReport], None] | None = None,
) -> ExportResult:
    """Exports a network as a SavedModel and proves it in another process.

    Signatures:

    - `serving_default`: `clip`, uint8 `(batch, T, height, width, 3)`, to the outputs
      chosen in `source`.
    - `serve_float`: the same from float32 in [0, 255].
    - `classify_bytes`: `frames`, strings `(batch, T)` of JPEG or PNG pictures of any
      size, to `probabilities` and `logits`.
    - `embed`: `clip` to `embedding`.
    - `predict_frames`: `clip` to `next_frame` and `motion_filters`.

    The proof runs through TensorFlow's C API in a process without Keras and with XLA
    disabled, see :class:`ServedModel`. With the extra `serving` the folder holds
    warm-up requests of every signature.

    Args:
        source: The network and the clips.
        target: The folder to write.
        overwrite: Whether it may exist.
        on_report: Gets the comparison before a failed one raises.

    Returns:
        The result.

    Raises:
        UserError: If the target exists, or the artefact fails.
    """
    with SavedModelRunner(target) as runner:

        def write(path):
            _save(source, path)
            gc.collect()  # the graphs of a large network fill gigabytes
            lint(path, target)
            return {
                "signatures": list(signatures_of(source)),
                "warm_up_requests": write_warm_up(path, _examples(source)),
            }

        def load(path):
            runner.path = path
            return runner.run_default, runtime_name()

        return export_artefact(
            source,
            target,
            format="saved_model",
            write=write,
            load=load,
            also_compare=lambda: compare_signatures(
                source, signatures_of(source), source.outputs, runner.run
            ),
            overwrite=overwrite,
            on_report=on_report,
        )


class SavedModelRunner:
    """Runs the signatures of a SavedModel in another process. Use as a context manager.

    TensorFlow keeps a copy of the weights for each signature that it has run; of a
    large model, one process runs one signature.

    Args:
        target: What messages call the model.
        path: Where it is; may be set before the first run. Default: `target`.
    """

    def __init__(
        self, target: str | os.PathLike, path: str | os.PathLike | None = None
    ):
        self.path = Path(target if path is None else path)
        self._target = target
        self._process = contextlib.ExitStack()
        self._served = None
        self._signature = None

    def __enter__(self) -> "SavedModelRunner":
        return self

    def __exit__(self, *_):
        self._process.close()

    def run_default(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs of `serving_default` by name, from uint8 clips."""
        return self.run("serving_default", {"clip": clips})

    def run(
        self, signature: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Outputs of a signature by name.

        Raises:
            UserError: If TensorFlow cannot run it.
        """
        try:
            if self._served is None or self._is_full(signature):
                self._process.close()
                model = ServedModel(self.path)
                self._served = self._process.enter_context(model)
            self._signature = signature
            return self._served.run(signature, inputs)
        except ServingError as error:
            raise UserError(
                f"{self._target}: TensorFlow cannot run it: {first_line(str(error))}"
            ) from error

    def _is_full(self, signature):
        return signature != self._signature and size_of(self.path) > _LARGE_BYTES


def lint(path: str | os.PathLike, target: str | os.PathLike | None = None) -> None:
    """Checks that TensorFlow Serving would accept a SavedModel.

    The server refuses functions that must be compiled by XLA unless it is started with
    experimental flags.

    Args:
        path: The folder of the SavedModel.
        target: What messages call it. Default: `path`.

    Raises:
        UserError: If there is such a function, or a variable.
    """
    target = path if target is None else target
    graph = read_meta_graph(path).graph_def
    functions = graph.library.function
    for function in functions:
        if function.attr["_XlaMustCompile"].b:
            raise UserError(
                f"{target}: the function {function.signature.name} must be compiled by "
                "XLA, which TensorFlow Serving refuses."
            )
    nodes = [*graph.node, *(node for f in functions for node in f.node_def)]
    for node in nodes:
        if node.attr["_XlaMustCompile"].b:
            raise UserError(
                f"{target}: the node {node.name} must be compiled by XLA, which "
                "TensorFlow Serving refuses."
            )
        if node.op in ("VarHandleOp", "VariableV2"):
            raise UserError(
                f"{target}: holds the variable {node.name}; weights must be constants."
            )


def _save(source, path):
    model = fold(source.model, **FOLDED)
    network = make_inference_function(model, OUTPUTS, dtype="float32")
    write_saved_model(path, network, source.outputs, signatures_of(source))


def signatures_of(source: ExportSource) -> tuple[str, ...]:
    """The signatures of a network; one without classes classifies nothing."""
    classless = source.model.num_classes == 1
    return tuple(n for n in SIGNATURES if n != "classify_bytes" or not classless)


def _examples(source):
    """A request of one real clip for each signature."""
    clip = source.clips.parity[:1]
    requests = {
        "serving_default": {"clip": clip},
        "serve_float": {"clip": clip.astype("float32")},
        "classify_bytes": {"frames": encode_jpeg(clip)},
        "embed": {"clip": clip},
        "predict_frames": {"clip": clip},
    }
    return {name: requests[name] for name in signatures_of(source)}


def encode_jpeg(clips: np.ndarray, quality: int = 95) -> np.ndarray:
    """Clips as JPEG pictures.

    Args:
        clips: uint8 `(batch, T, height, width, 3)`.
        quality: 1 to 100.

    Returns:
        `(batch, T)`, objects of type `bytes`.
    """
    import tensorflow as tf

    frames = clips.reshape(-1, *clips.shape[2:])
    encoded = [tf.io.encode_jpeg(frame, quality=quality).numpy() for frame in frames]
    return np.array(encoded, dtype=object).reshape(clips.shape[:2])


def compare_signatures(
    source: ExportSource,
    signatures: Collection[str],
    outputs: Sequence[str],
    run: Callable[[str, Mapping[str, np.ndarray]], Mapping[str, np.ndarray]],
) -> Pairs:
    """Expected and received outputs of the signatures that are not the default.

    Args:
        source: The network and the clips.
        signatures: Those that the SavedModel has.
        outputs: Those of its `serve_float`.
        run: From a signature and its inputs to outputs by name.
    """
    clips = source.clips.parity[:_OTHER_CLIPS]
    model = in_float32(source.model)
    expected = make_reference(model, OUTPUTS)(clips)
    requests = {
        "serve_float": ({"clip": clips.astype("float32")}, outputs, expected),
        "embed": ({"clip": clips}, ("embedding",), expected),
        "predict_frames": ({"clip": clips}, FRAME_OUTPUTS, expected),
    }
    if "classify_bytes" in signatures:
        encoded, shown = _pictures(clips)
        from_bytes = make_reference(model, CLASS_OUTPUTS)(shown)
        requests["classify_bytes"] = ({"frames": encoded}, CLASS_OUTPUTS, from_bytes)
    pairs = {}
    for signature, (inputs, names, values) in requests.items():
        if signature not in signatures:
            continue
        received = run(signature, inputs)
        for name in names:
            pairs[f"{signature}/{name}"] = values[name], received.get(name)
    return pairs


def _pictures(clips):
    """Clips as clients send them, and the pixels that they then hold.

    Nothing that the SavedModel decodes with is asked for the pixels: every other clip
    is sent without loss, as PNG, and the rest as JPEG that OpenCV decodes.
    """
    import cv2

    encoded, shown = encode_jpeg(clips), clips.copy()
    for place in np.ndindex(encoded.shape):
        if place[0] % 2:
            content = np.frombuffer(encoded[place], np.uint8)
            shown[place] = cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]
        else:
            _, content = cv2.imencode(".png", clips[place][..., ::-1])
            encoded[place] = content.tobytes()
    return encoded, shown
