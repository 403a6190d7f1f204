"""TFLite files of built-in operators, run in LiteRT before they are kept."""

import importlib.util
import logging
import os
from collections.abc import Callable, Mapping

import numpy as np

from keras_dynamonet.errors import MissingExtraError, UserError, first_line
from keras_dynamonet.exporters.artefact import ExportResult, export_artefact
from keras_dynamonet.exporters.folding import fold
from keras_dynamonet.exporters.formats import FORMATS
from keras_dynamonet.exporters.parity import BATCH_SIZES, ParityReport
from keras_dynamonet.exporters.runtimes import WITHOUT_XNNPACK, load_litert
from keras_dynamonet.exporters.signature import make_inference_function
from keras_dynamonet.exporters.source import ExportSource
from keras_dynamonet.exporters.tflite_operators import (
    check_builtin,
    check_int8,
    count_operators,
    list_convolutions,
)
from keras_dynamonet.exporters.tflite_quantization import measure_ranges, quantise
from keras_dynamonet.files import temporary_folder
from keras_dynamonet.layers import FrameFilterGenerator, FrameMaps, MotionDescriptor
from keras_dynamonet.machine import count_cpus
from keras_dynamonet.models import ResNeXt3D

_WITH_TRAINED_CONVOLUTIONS = (
    ResNeXt3D,
    MotionDescriptor,
    FrameFilterGenerator,
    FrameMaps,
)

SIGNATURE = "serving_default"

_logger = logging.getLogger(__name__)

_PACKAGE = "ai-edge-litert"


def export_tflite(
    source: ExportSource,
    target: str | os.PathLike,
    *,
    precision: str = "float32",
    batch: int | None = None,
    overwrite: bool = False,
    on_report: Callable[[ParityReport], None] | None = None,
) -> ExportResult:
    """Exports a network as a TFLite file and proves it in LiteRT with XNNPACK.

    The input is uint8 and all operators are built in: TensorFlow's own ("Flex") are not
    needed. The sidecar lists the operators, and each convolution with its types.

    - `float32`: as trained.
    - `float16`: weights stored in half the space, computed in float32.
    - `dynamic_range`: large weights in INT8, the rest in float32.
    - `int8`: every convolution that was trained has INT8 input, weights and output.
      The solution for the filters, the filtering of frames and the dense layers
      outside the backbone stay in float32 (see
      `keras_dynamonet.exporters.tflite_quantization`).

    Args:
        source: The network and the clips; the calibration clips give the ranges of
            INT8.
        target: The `.tflite` file to write.
        precision: One of the above.
        batch: Clips in a batch, or `None` for any number (then the runtime allocates
            anew when the number changes).
        overwrite: Whether `target` may exist.
        on_report: Gets the comparison before a failed one raises.

    Returns:
        The result.

    Raises:
        UserError: If an option is unknown, the target exists, or the artefact fails.
        MissingExtraError: If the extra `tflite` is not installed.
    """
    check_options(precision=precision, batch=batch)

    def write(path):
        content = convert(source, precision=precision, batch=batch)
        path.write_bytes(content)
        return {
            "batch": batch,
            "operators": count_operators(content),
            "convolutions": [c.describe() for c in list_convolutions(content)],
        }

    result = export_artefact(
        source,
        target,
        format="tflite",
        precision=precision,
        write=write,
        load=load_runner,
        packages=(_PACKAGE,),
        batch_sizes=BATCH_SIZES if batch is None else (batch,),
        overwrite=overwrite,
        on_report=on_report,
    )
    if result.parity.runtime.endswith(WITHOUT_XNNPACK):
        _logger.warning(
            "%s: ran in plain kernels, which are slow: XNNPACK took no part of it",
            target,
        )
    return result


def convert(
    source: ExportSource, *, precision: str = "float32", batch: int | None = None
) -> bytes:
    """The TFLite file of a network, checked by its operators but not yet run.

    Args:
        source: The network and the clips.
        precision: As for :func:`export_tflite`.
        batch: As for :func:`export_tflite`.

    Returns:
        The content of the file.

    Raises:
        UserError: If an option is unknown, an operator is not built in, or a trained
            convolution of an INT8 file is not INT8.
        MissingExtraError: If the extra `tflite` is not installed.
    """
    check_options(precision=precision, batch=batch)
    folded = fold(
        source.model,
        # One convolution of all temporal taps: in INT8 a sum of several is rounded tap
        # by tap, and with weights of 8 bits every tap quantises its input anew.
        conv_form="stacked",
        pool_form="planar",
        filter_form="patches",
        solver_method="newton",
    )
    content = _convert_graph(folded, source.outputs, precision, batch)
    if precision == "int8":
        parts = _names(folded, _WITH_TRAINED_CONVOLUTIONS)
        ranges = measure_ranges(
            content,
            source.clips.to_calibrate_with(),
            # Its maximum over time reads the peaks that a mean range cuts off.
            uncut=_names(folded, MotionDescriptor),
        )
        content = quantise(content, ranges, parts)
        check_int8(content)
    check_builtin(content)
    return content


def load_runner(
    path: str | os.PathLike, *, threads: int | None = None
) -> tuple[Callable[[np.ndarray], Mapping[str, np.ndarray]], str]:
    """Loads a file into LiteRT, which hands what it can to XNNPACK.

    Args:
        path: The `.tflite` file.
        threads: CPU threads. Default: one for each core.

    Returns:
        A function from uint8 clips to outputs by name, and the name of the runtime.

    Raises:
        UserError: If LiteRT refuses the file.
        MissingExtraError: If the extra `tflite` is not installed.
    """
    require_litert()
    loaded = load_litert(os.fspath(path), threads or count_cpus())
    return loaded.run, loaded.runtime


def require_litert() -> None:
    """Checks that the extra `tflite` is installed.

    Raises:
        MissingExtraError: If it is not.
    """
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise MissingExtraError("TFLite export", "tflite")


def check_options(*, precision: str = "float32", batch: int | None = None) -> None:
    """Checks the options of :func:`export_tflite`.

    Raises:
        UserError: If one is unknown.
        MissingExtraError: If the extra `tflite` is not installed.
    """
    require_litert()
    FORMATS["tflite"].check_precision(precision)
    if batch is not None and batch < 1:
        raise UserError(f"The batch must be at least 1 clip. Received: {batch}")


def _names(network, kinds):
    """How the operators of some layers are called in the file."""
    # The slash keeps the name of the whole network from matching.
    return tuple(
        f"/{layer.name}" for layer in network.layers if isinstance(layer, kinds)
    )


def _convert_graph(folded, outputs, precision, batch):
    import tensorflow as tf

    function = make_inference_function(folded, outputs, batch=batch)
    with temporary_folder() as folder:
        # Only a SavedModel hands the names of inputs and outputs on.
        _save_graph(function, str(folder))
        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(folder), signature_keys=[SIGNATURE]
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if precision in ("float16", "dynamic_range"):
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return _run_converter(converter)


def _save_graph(function, folder):
    import tensorflow as tf

    @tf.function(input_signature=[function.signature.clip_spec()], autograph=False)
    def serve(clip):
        return function(clip)

    module = tf.Module()
    module.serve = serve
    tf.saved_model.save(
        module, folder, signatures={SIGNATURE: serve.get_concrete_function()}
    )


def _run_converter(converter):
    from tensorflow.lite.python.convert import ConverterError

    try:
        return converter.convert()
    except ConverterError as error:
        # The rest of the message is the whole graph.
        reason = first_line(str(error))[:300]
        raise UserError(
            f"The TFLite converter refuses the network: {reason}"
        ) from error
