"""ONNX files that are checked, run and compared before they are kept."""

import contextlib
import importlib.util
import json
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from keras_dynamonet.errors import MissingExtraError, UserError
from keras_dynamonet.exporters.artefact import ExportResult, export_artefact
from keras_dynamonet.exporters.folding import fold
from keras_dynamonet.exporters.formats import FORMATS
from keras_dynamonet.exporters.parity import ParityReport
from keras_dynamonet.exporters.runtimes import load_onnxruntime
from keras_dynamonet.exporters.signature import INPUT, make_inference_function
from keras_dynamonet.exporters.source import ExportSource

if TYPE_CHECKING:
    import onnx

OPSETS = (17, 18)
PACKAGES = ("onnx", "onnxruntime", "tf2onnx")
_LARGEST = "largest_in_float16"
"""What a float16 file and its sidecar call the largest number of its backbone."""


def export_onnx(
    source: ExportSource,
    target: str | os.PathLike,
    *,
    precision: str = "float32",
    opset: int = 17,
    overwrite: bool = False,
    on_report: Callable[[ParityReport], None] | None = None,
) -> ExportResult:
    """Exports a network as an ONNX file and proves it in ONNX Runtime.

    The convolutions are single grouped 3D `Conv` nodes; there are no loops and no
    custom operators. The file takes any number of clips.

    Args:
        source: The network and the clips.
        target: The `.onnx` file to write.
        precision: `"float32"`; `"float16"` or `"int8"` for the backbone, the rest in
            float32 (see `keras_dynamonet.exporters.onnx_precision`).
        opset: 17 or 18.
        overwrite: Whether `target` may exist.
        on_report: Gets the comparison before a failed one raises.

    Returns:
        The result.

    Raises:
        UserError: If an option is unknown, the target exists, or the artefact fails.
        MissingExtraError: If the extra `onnx` is not installed.
    """
    check_options(precision=precision, opset=opset)
    from keras_dynamonet.exporters.onnx_precision import convolution_types

    def write(path):
        model = convert(source, precision=precision, opset=opset)
        path.write_bytes(model.SerializeToString())
        return {
            "opset": opset,
            "convolutions": convolution_types(model),
            **describe_range(model),
        }

    return export_artefact(
        source,
        target,
        format="onnx",
        precision=precision,
        write=write,
        load=load_runner,
        packages=PACKAGES,
        overwrite=overwrite,
        on_report=on_report,
    )


def check_options(*, precision: str = "float32", opset: int = 17) -> None:
    """Checks the options of :func:`export_onnx`.

    Raises:
        UserError: If one is unknown.
        MissingExtraError: If the extra `onnx` is not installed.
    """
    require_onnx()
    FORMATS["onnx"].check_precision(precision)
    _check_opset(opset)


def convert(
    source: ExportSource, *, precision: str = "float32", opset: int = 17
) -> "onnx.ModelProto":
    """The ONNX model of a network, checked but not yet run.

    Args:
        source: The network; its calibration clips give the ranges of INT8.
        precision: `"float32"`, `"float16"`, `"bfloat16"` or `"int8"`. bfloat16 is for
            TensorRT alone: the standard has no such convolution, so it is not checked.
        opset: 17 or 18.

    Raises:
        UserError: If the opset is unknown, the graph is not valid, a convolution of
            the backbone does not compute in the precision, or float16 cannot hold what
            it computes.
        MissingExtraError: If the extra `onnx` is not installed.
    """
    require_onnx()
    from keras_dynamonet.exporters.onnx_graph import check, three_dimensional, tidy
    from keras_dynamonet.exporters.onnx_precision import (
        HALF_TYPES,
        cast_backbone,
        check_precision,
        quantise_backbone,
    )

    _check_opset(opset)
    folded = fold(
        source.model,
        conv_form="traced",
        pool_form="native",
        filter_form="patches",
        solver_method="newton",
    )
    model = tidy(_convert_graph(folded, source.outputs, opset), _metadata(source))
    check(model)
    backbone = [node.name for node in three_dimensional(model.graph)]
    if precision != "float32" and not backbone:
        raise UserError(
            f"onnx: {', '.join(source.outputs)} need nothing of the backbone, which is "
            f"all that {precision} is for. Export float32."
        )
    if precision == "int8":
        model = quantise_backbone(model, source.clips.to_calibrate_with())
    elif precision in HALF_TYPES:
        if precision == "float16":
            _check_range(model, source.clips.parity)
        model = cast_backbone(model, precision)
    if precision != "float32":
        check_precision(model, backbone, precision)
    if precision != "bfloat16":
        check(model)
    return model


def load_runner(
    path: str | os.PathLike,
) -> tuple[Callable[[np.ndarray], dict[str, np.ndarray]], str]:
    """Loads a file into ONNX Runtime on the CPU.

    Args:
        path: The `.onnx` file.

    Returns:
        A function from uint8 clips to outputs by name, and the name of the runtime.

    Raises:
        UserError: If ONNX Runtime refuses the file.
        MissingExtraError: If the extra `onnx` is not installed.
    """
    require_onnx()
    loaded = load_onnxruntime(os.fspath(path))
    return loaded.run, loaded.runtime


def require_onnx() -> None:
    """Checks that the extra `onnx` is installed.

    Raises:
        MissingExtraError: If it is not.
    """
    if any(importlib.util.find_spec(package) is None for package in PACKAGES):
        raise MissingExtraError("ONNX export", "onnx")


def describe_range(model: "onnx.ModelProto") -> dict[str, float]:
    """For the sidecar: the largest number of the backbone of a float16 model."""
    return {
        entry.key: json.loads(entry.value)
        for entry in model.metadata_props
        if entry.key == _LARGEST
    }


def _check_opset(opset):
    if opset not in OPSETS:
        raise UserError(f"The opset must be 17 or 18. Received: {opset}")


def _check_range(model, clips):
    """Checks that float16 holds the backbone, and notes how far it goes."""
    from keras_dynamonet.exporters.onnx_precision import FLOAT16_LIMIT, largest_in_half

    largest, name = largest_in_half(model, clips)
    if not largest <= FLOAT16_LIMIT:
        raise UserError(
            f"float16 ends at 65,504, and {name} of this network goes up to "
            f"{largest:.3g} on {len(clips)} clips (allowed: {FLOAT16_LIMIT:,.0f}). "
            "Export float32 or int8."
        )
    model.metadata_props.add(key=_LARGEST, value=json.dumps(largest))


def _convert_graph(folded, outputs, opset):
    import tf2onnx

    from keras_dynamonet.exporters.onnx_kernels import (
        put_back_kernels,
        take_out_kernels,
    )

    graph_def = make_inference_function(folded, outputs).graph_def
    kernels = take_out_kernels(graph_def)
    with _quiet("tensorflow", "tf2onnx"):
        model, _ = tf2onnx.convert.from_graph_def(
            graph_def,
            name=folded.name,
            input_names=[f"{name}:0" for name in (INPUT, *kernels)],
            output_names=[f"{name}:0" for name in outputs],
            opset=opset,
        )
    put_back_kernels(model, kernels)
    return model


@contextlib.contextmanager
def _quiet(*names):
    """Mutes loggers: the converter warns of functions of its own that grow old."""
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _metadata(source):
    model = source.model
    metadata = {
        "class_names": model.class_names,
        "clip_frames": model.num_frames,
        "fps": model.fps,
        "frame_size": list(model.frame_size),
        "source_sha256": source.sha256,
    }
    return {name: json.dumps(value) for name, value in metadata.items()}
