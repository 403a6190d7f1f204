"""ONNX models in lower precision: half-size floats and INT8.

Only the backbone changes. Pixels, the solution for the filters, the filtered frames,
the pooled feature and the classifier stay in float32: 11 bits of mantissa are too few
for normal equations and for frames, and all of it is a small part of the time.
"""

import contextlib
import logging
from collections.abc import Collection, Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters.onnx_graph import three_dimensional
from keras_dynamonet.exporters.signature import INPUT
from keras_dynamonet.files import temporary_folder

HALF_TYPES = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}

# What a backbone computes between two convolutions. The rest is a border: means over
# space (the pooled feature, the gates of STC) add up too many numbers for 11 bits.
_HALF_OPERATORS = (
    "Add",
    "Concat",
    "MaxPool",
    "Mul",
    "Pad",
    "Relu",
    "Reshape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
)

FLOAT16_LIMIT = float(np.finfo(np.float16).max) / 2
"""The largest number that a backbone in float16 may compute of the clips that it is
compared on: half of what the type holds, for clips yet unseen."""

_CLIPS_A_SAMPLE = 4  # about; their extremes are one sample of a range


def cast_backbone(model: onnx.ModelProto, dtype: str = "float16") -> onnx.ModelProto:
    """Computes the backbone in float16 or bfloat16, everything else in float32.

    Args:
        model: The float32 model.
        dtype: `"float16"` or `"bfloat16"`. The standard has no bfloat16 convolution
            before opset 22: such a file is for TensorRT alone.

    Returns:
        A new model with the same inputs and outputs.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph, half = result.graph, HALF_TYPES[dtype]
    made_in_half = _half_outputs(graph)
    floats = _float_tensors(model)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes, casts, half_weights = [], {}, {}

    def cast(name, to, suffix):
        new_name = f"{name}_{suffix}"
        if new_name not in casts:
            casts[new_name] = helper.make_node(
                "Cast", [name], [new_name], new_name, to=to
            )
            nodes.append(casts[new_name])
        return new_name

    for node in graph.node:
        inside = node.output[0] in made_in_half
        for place, name in enumerate(node.input):
            if name not in floats:
                continue
            if inside and name in weights:
                half_weights[name] = f"{name}_{dtype}"
                node.input[place] = half_weights[name]
            elif inside and name not in made_in_half:
                node.input[place] = cast(name, half, dtype)
            elif not inside and name in made_in_half:
                node.input[place] = cast(name, TensorProto.FLOAT, "float32")
        nodes.append(node)
    used = {name for node in nodes for name in node.input}
    constants = [tensor for name, tensor in weights.items() if name in used]
    constants += [
        _as_half(weights[old], new, half) for old, new in half_weights.items()
    ]
    del graph.value_info[:], graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    return result


def largest_in_half(model: onnx.ModelProto, clips: np.ndarray) -> tuple[float, str]:
    """The largest magnitude among what :func:`cast_backbone` casts.

    ONNX Runtime computes float16 convolutions in float32 on a CPU, so that comparing
    outputs there does not show what overflows on a GPU.

    Args:
        model: The float32 model.
        clips: Real clips, uint8 `(n, T, height, width, 3)`.

    Returns:
        The magnitude, and the name of the tensor that it is found in.
    """
    from keras_dynamonet.exporters.runtimes import load_onnxruntime

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    graph, made_in_half = probe.graph, _half_outputs(model.graph)
    inside = {
        name
        for node in graph.node
        if node.output[0] in made_in_half
        for name in (*node.input, node.output[0])
    }
    names = sorted(inside & _float_tensors(model))
    del graph.output[:]
    for name in names:
        size, largest = f"{name}_magnitude", f"{name}_largest"
        graph.node.append(helper.make_node("Abs", [name], [size]))
        graph.node.append(helper.make_node("ReduceMax", [size], [largest], keepdims=0))
        graph.output.append(
            helper.make_tensor_value_info(largest, TensorProto.FLOAT, [])
        )
    with temporary_folder() as folder:
        path = folder / "probe.onnx"
        onnx.save(probe, path)
        loaded = load_onnxruntime(str(path))
        found = [loaded.run(clip[None]) for clip in clips]
    largest = {name: max(float(f[f"{name}_largest"]) for f in found) for name in names}
    worst = max(names, key=largest.get)
    return largest[worst], worst


def quantise_backbone(model: onnx.ModelProto, clips: np.ndarray) -> onnx.ModelProto:
    """Computes the convolutions of the backbone in INT8, by Q/DQ nodes.

    Weights are quantised per channel, activations per tensor; both symmetrically, the
    only scheme that TensorRT takes. The range of an activation is the mean over groups
    of about 4 clips of the smallest and the largest value: a rare extreme would widen
    the steps of all.

    Weights take 7 of the 8 bits: x86 processors without VNNI add up two products in 16
    bits, which weights of 8 bits overflow without a word.

    Args:
        model: The float32 model.
        clips: Real clips, uint8 `(n, T, height, width, 3)`, for the ranges.

    Returns:
        A new model with the same inputs and outputs.
    """
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    convolutions = [node.name for node in three_dimensional(model.graph)]
    with temporary_folder() as folder, _without_warnings():
        source, target = folder / "float32.onnx", folder / "int8.onnx"
        onnx.save(model, source)
        quantize_static(
            source,
            target,
            _ClipReader(clips),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_quantize=convolutions,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "CalibMovingAverage": True,
            },
        )
        return onnx.load(target)


def convolution_types(model: onnx.ModelProto) -> dict[str, str]:
    """What each convolution computes in, by the name of its node.

    Returns:
        `"int8"`, `"float16"`, `"bfloat16"` or `"float32"` by name.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        maker = makers.get(node.input[1])
        if maker is not None and maker.op_type == "DequantizeLinear":
            found[node.name] = "int8"
        else:
            number = types[node.input[1]]
            found[node.name] = TensorProto.DataType.Name(number).lower()
    return {name: {"float": "float32"}.get(kind, kind) for name, kind in found.items()}


def check_precision(
    model: onnx.ModelProto, names: Collection[str], precision: str
) -> None:
    """Checks that convolutions compute in a precision; a quantiser may leave some.

    Args:
        model: The model.
        names: Names of the convolutions.
        precision: `"float16"`, `"bfloat16"` or `"int8"`.

    Raises:
        UserError: If one does not, or there is none.
    """
    types = convolution_types(model)
    others = [name for name in names if types.get(name) != precision]
    if others or not names:
        raise UserError(
            f"{len(others)} of {len(names)} convolutions of the ONNX graph are not "
            f"{precision}: {', '.join(others[:3]) or 'there are none'}."
        )


@contextlib.contextmanager
def _without_warnings():
    """The quantiser advises steps for networks that are not folded, unlike ours."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)


class _ClipReader:
    """Feeds clips to the calibration of ONNX Runtime."""

    def __init__(self, clips: np.ndarray):
        # Of equal sizes, for each counts as much in the mean.
        samples = max(1, round(len(clips) / _CLIPS_A_SAMPLE))
        self._batches: Iterator[np.ndarray] = iter(np.array_split(clips, samples))

    def get_next(self):
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def _half_outputs(graph):
    """The outputs of the nodes that compute in half precision."""
    chosen = {node.output[0] for node in three_dimensional(graph)}
    for node in graph.node:  # every node comes after its inputs
        if node.op_type in _HALF_OPERATORS and chosen.intersection(node.input):
            chosen.add(node.output[0])
    return chosen


def _float_tensors(model):
    graph = onnx.shape_inference.infer_shapes(model).graph
    names = {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT}
    for value in (*graph.value_info, *graph.input, *graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            names.add(value.name)
    return names


def _as_half(tensor, name, half):
    values = numpy_helper.to_array(tensor)
    dtype = helper.tensor_dtype_to_np_dtype(half)
    return numpy_helper.from_array(values.astype(dtype), name)
