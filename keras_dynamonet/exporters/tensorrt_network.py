"""TensorRT and TensorRT-RTX behind one door, and networks parsed by either."""

import collections
import contextlib
import importlib
import logging
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_dynamonet.errors import MissingExtraError, UserError, first_line

if TYPE_CHECKING:
    import onnx

# Flavour -> names it is imported by. The meta package of TensorRT-RTX has the first of
# its names, its bindings alone the second.
FLAVOURS = {
    "tensorrt": ("tensorrt",),
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
EXTRAS = {"tensorrt": "tensorrt", "tensorrt_rtx": "tensorrt-rtx"}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TensorRT:
    """An installed flavour.

    Args:
        flavour: `"tensorrt"` or `"tensorrt_rtx"`.
        module: Its Python module; both have the same API.
    """

    flavour: str
    module: Any

    @property
    def version(self) -> str:
        """E.g. `"1.7.1.116"`."""
        return self.module.__version__

    def make_logger(self):
        """A logger of TensorRT that hands messages on to Python's."""
        trt = self.module
        severities = trt.ILogger.Severity
        errors = severities.INTERNAL_ERROR, severities.ERROR

        class Bridge(trt.ILogger):
            def __init__(self):
                trt.ILogger.__init__(self)
                self.errors = []

            def log(self, severity, message):
                if severity in errors:
                    self.errors.append(message)
                # Of two models of GPUs with one capability: for users, not for us.
                foreign = "different models of devices" in message
                _logger.log(logging.WARNING if foreign else logging.DEBUG, message)

        return Bridge()


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a network; -1 stands for any batch."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class NetworkInfo:
    """What TensorRT has understood of an ONNX model.

    Args:
        inputs: What goes in.
        outputs: What comes out.
        layers: How many layers there are of each kind and type of result, e.g.
            `{"CONVOLUTION HALF": 17}`.
        quantized_convolutions: Convolutions whose input comes from a dequantisation:
            these compute in INT8.
        profile: Smallest, best and largest shape of each input that the engine takes;
            empty for a network without an engine.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    layers: dict[str, int]
    quantized_convolutions: int
    profile: dict[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)

    def describe(self) -> dict:
        """For the sidecar."""
        return asdict(self)


def load_tensorrt(flavour: str = "auto") -> TensorRT:
    """Imports TensorRT.

    Args:
        flavour: `"tensorrt"`, `"tensorrt_rtx"`, or `"auto"` for the first installed.

    Raises:
        UserError: If the flavour is unknown.
        MissingExtraError: If it is not installed.
    """
    if flavour != "auto" and flavour not in FLAVOURS:
        raise UserError(
            f"There is no TensorRT flavour {flavour!r}. "
            f"Choose from: auto, {', '.join(FLAVOURS)}."
        )
    for name in FLAVOURS if flavour == "auto" else (flavour,):
        for package in FLAVOURS[name]:
            # A stub package without its libraries raises other errors than a missing
            # one; it cannot be used either.
            with contextlib.suppress(ImportError, RuntimeError, OSError):
                module = importlib.import_module(package)
                if hasattr(module, "Builder"):
                    return TensorRT(name, module)
    extra = EXTRAS["tensorrt_rtx" if flavour == "auto" else flavour]
    raise MissingExtraError("TensorRT export", extra)


def parse(tensorrt: TensorRT, model: bytes):
    """Parses an ONNX model into a strongly typed network.

    Args:
        tensorrt: The flavour.
        model: The ONNX file.

    Returns:
        `(builder, network, keep_alive)`; the last must live as long as the network.

    Raises:
        UserError: If TensorRT refuses the model.
    """
    trt = tensorrt.module
    logger = tensorrt.make_logger()
    builder = trt.Builder(logger)
    # Always on in TensorRT 11: precision comes from the types in the model.
    flag = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flag)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        reason = "unknown error"
        if parser.num_errors:
            reason = first_line(parser.get_error(0).desc())
        raise UserError(f"{tensorrt.flavour} cannot read the ONNX model: {reason}")
    return builder, network, (logger, parser)


def describe_network(network) -> NetworkInfo:
    """Names, shapes, types and layers of a parsed network."""
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    made_by = {
        layer.get_output(index).name: layer.type.name
        for layer in layers
        for index in range(layer.num_outputs)
    }
    kinds = collections.Counter(
        f"{layer.type.name} {layer.get_output(0).dtype.name}" for layer in layers
    )
    quantized = sum(
        made_by.get(layer.get_input(0).name) == "DEQUANTIZE"
        for layer in layers
        if layer.type.name == "CONVOLUTION"
    )
    return NetworkInfo(
        tuple(_describe(network.get_input(i)) for i in range(network.num_inputs)),
        tuple(_describe(network.get_output(i)) for i in range(network.num_outputs)),
        dict(sorted(kinds.items())),
        quantized,
    )


def with_float_biases(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Replaces INT32 biases with their float values.

    ONNX Runtime's quantiser stores biases as INT32 with a dequantisation behind it,
    which TensorRT refuses; it rounds biases itself.

    Returns:
        A new model.
    """
    import onnx
    from onnx import numpy_helper

    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        codes = stored.get(node.input[0]) if node.input else None
        is_bias = (
            node.op_type == "DequantizeLinear"
            and codes is not None
            and codes.data_type == onnx.TensorProto.INT32
        )
        if not is_bias:
            nodes.append(node)
            continue
        scale = numpy_helper.to_array(stored[node.input[1]])
        bias = numpy_helper.to_array(codes).astype("float32") * scale
        graph.initializer.append(
            numpy_helper.from_array(bias.astype(np.float32), node.output[0])
        )
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return result


def _describe(tensor):
    return TensorInfo(tensor.name, tuple(tensor.shape), tensor.dtype.name)
