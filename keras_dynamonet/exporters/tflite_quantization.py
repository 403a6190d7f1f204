"""INT8 for the parts of a TFLite file that bear it.

TensorFlow's converter quantises all or nothing, and its calibration reads the inputs of
an operator after running it, when additions that work in place have overwritten them:
the range of a convolution before a shortcut comes out as that of the sum. So the float
file is run here, in LiteRT with every tensor kept, and the quantiser is told what to
leave alone.

INT8 are the backbone and the convolutions of the motion descriptor. In float32 stay
the normal equations of the filters (products of eight-bit numbers do not fit eight
bits, and elimination divides by small differences of them), the filtered frames, whose
eight bits are the result itself, and the dense layers, a small share of time and size.
"""

from collections.abc import Mapping

import numpy as np

from keras_dynamonet.exporters.tflite_operators import read_graph

# Ranges below it mean "always zero". A scale as small as theirs overflows the integer
# arithmetic of the runtimes, which then refuse the file.
_LEAST_RANGE = 1e-6


def measure_ranges(content: bytes, clips: np.ndarray) -> dict[int, tuple[float, float]]:
    """Runs a float file on clips and notes the values of every tensor.

    Args:
        content: The file, float32.
        clips: uint8 `(n, T, height, width, 3)`.

    Returns:
        Smallest and largest value by index of the tensor.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content,
        # Delegates keep their tensors to themselves; memory shared between tensors
        # would show what another operator has left there.
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        num_threads=2,
    )
    interpreter.allocate_tensors()
    clip = interpreter.get_input_details()[0]
    computed = _computed_tensors(content)
    batch = int(clip["shape"][0])
    ranges = {}
    for start in range(0, len(clips) - batch + 1, batch):
        interpreter.set_tensor(clip["index"], clips[start : start + batch])
        interpreter.invoke()
        for index in computed:
            values = interpreter.get_tensor(index)
            low, high = ranges.get(index, (np.inf, -np.inf))
            ranges[index] = (
                min(low, float(values.min())),
                max(high, float(values.max())),
            )
    return ranges


def with_ranges(content: bytes, ranges: Mapping[int, tuple[float, float]]) -> bytes:
    """The file with the range of each tensor noted in it, as the quantiser expects.

    Args:
        content: The float file.
        ranges: From :func:`measure_ranges`.
    """
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = read_graph(content)
    for index, (low, high) in ranges.items():
        # Zero must have an exact code: it is what convolutions pad with.
        low, high = min(low, 0.0), max(high, 0.0)
        if high - low < _LEAST_RANGE:
            low, high = -1.0, 1.0
        quantization = schema.QuantizationParametersT()
        quantization.min = np.array([low], "float32")
        quantization.max = np.array([high], "float32")
        model.subgraphs[0].tensors[index].quantization = quantization
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def quantise(content: bytes, layers: tuple[str, ...]) -> bytes:
    """Quantises the operators of some layers to INT8, weights per channel.

    Args:
        content: A float file with ranges, see :func:`with_ranges`.
        layers: Names of layers; an operator belongs to one if the name of its result
            contains it.

    Returns:
        The quantised file. Inputs and outputs keep their types.
    """
    from tensorflow.lite.python import convert

    graph = read_graph(content).subgraphs[0]
    results = (graph.tensors[o.outputs[0]].name.decode() for o in graph.operators)
    others = {name for name in results if not any(layer in name for layer in layers)}
    return convert.mlir_quantize(content, denylisted_nodes=others)


def _computed_tensors(content):
    """Indices of the float tensors that are neither weights nor inputs."""
    from tensorflow.lite.python import schema_py_generated as schema

    graph = read_graph(content).subgraphs[0]
    return [
        int(index)
        for operator in graph.operators
        for index in operator.outputs
        if graph.tensors[index].type == schema.TensorType.FLOAT32
    ]
