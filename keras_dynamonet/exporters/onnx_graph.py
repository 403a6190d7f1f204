"""Repairs of converted ONNX graphs, and checks that they need no others."""

import math
from collections.abc import Mapping

import onnx
from onnx import helper, numpy_helper

from keras_dynamonet.errors import UserError, first_line

BATCH = "batch"
# Control flow costs time in every runtime; none of our graphs needs it.
_FORBIDDEN = ("Loop", "If", "Scan")


def tidy(model: onnx.ModelProto, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Makes a valid, readable graph of what tf2onnx wrote.

    - Inputs and outputs lose the `:0` of TensorFlow's tensors.
    - The first dimension of each is called `batch`.
    - Grouped 3D convolutions get their number of groups, which tf2onnx sets to 1.
    - Padding moves into the convolution or pool behind it.
    - Convolutions are named after their layers.

    Args:
        model: The converted model; it is changed.
        metadata: Stored in the file.

    Returns:
        The model, with the shape of every tensor.
    """
    rename(
        model,
        {
            value.name: value.name.removesuffix(":0")
            for value in (*model.graph.input, *model.graph.output)
        },
    )
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    fuse_padding(model.graph)
    set_groups(model)
    name_convolutions(model.graph)
    remove_unused(model.graph)
    del model.graph.value_info[:]
    helper.set_model_props(model, dict(metadata))
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def check(model: onnx.ModelProto) -> None:
    """Checks a model by the rules of ONNX and by ours.

    Raises:
        UserError: If the model is invalid or its shapes contradict each other, has
            operators from outside ONNX, or control flow.
    """
    custom = {n.op_type for n in model.graph.node if n.domain not in ("", "ai.onnx")}
    if custom:
        raise UserError(f"The ONNX graph has custom operators: {sorted(custom)}.")
    control = {n.op_type for n in model.graph.node if n.op_type in _FORBIDDEN}
    if control:
        raise UserError(f"The ONNX graph has control flow: {sorted(control)}.")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = first_line(str(error))
        raise UserError(f"The ONNX graph is invalid: {reason}") from error


def rename(model: onnx.ModelProto, names: Mapping[str, str]) -> None:
    """Renames tensors everywhere in the graph."""
    for node in model.graph.node:
        for field in (node.input, node.output):
            for place, name in enumerate(field):
                field[place] = names.get(name, name)
    for value in (
        *model.graph.input,
        *model.graph.output,
        *model.graph.value_info,
        *model.graph.initializer,
    ):
        value.name = names.get(value.name, value.name)


def set_groups(model: onnx.ModelProto) -> None:
    """Sets `group` of every 3D convolution to input channels / kernel channels.

    Raises:
        UserError: If the channels of an input are unknown.
    """
    inferred = onnx.shape_inference.infer_shapes(model)
    channels = {}
    for value in (*inferred.graph.value_info, *inferred.graph.input):
        dims = value.type.tensor_type.shape.dim
        if len(dims) > 1:
            channels[value.name] = dims[1].dim_value
    kernels = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    for node in three_dimensional(model.graph):
        groups = channels.get(node.input[0], 0) // kernels[node.input[1]][1]
        if groups < 1:
            raise UserError(
                f"The ONNX graph hides the channels that {node.name} takes."
            )
        set_attribute(node, "group", groups)


def fuse_padding(graph: onnx.GraphProto) -> None:
    """Moves padding of frames, height and width into convolutions and pools.

    Zeros go into a `Conv`, minus infinity into a `MaxPool`, whose own padding never
    wins; both also through a transposition to channels first.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for pad in [node for node in graph.node if node.op_type == "Pad"]:
        amounts = _padding(pad, constants)
        value = _padding_value(pad, constants)
        if amounts is None or value is None:
            continue
        moved = _only_users(graph, pad.output[0])
        if len(moved) == 1 and moved[0].op_type == "Transpose":
            order = attribute(moved[0], "perm")
            amounts = [[ends[axis] for axis in order] for ends in amounts]
            users = _only_users(graph, moved[0].output[0])
        else:
            moved, users = [], moved
        before, after = amounts
        outer = (*before[:2], *after[:2])
        if any(outer) or not all(_takes_padding(user, value) for user in users):
            continue
        for user in users:
            inner = [*before[2:], *after[2:]]
            old = attribute(user, "pads") or [0] * len(inner)
            remove_attribute(user, "auto_pad")
            new = [a + b for a, b in zip(old, inner, strict=True)]
            set_attribute(user, "pads", new)
        for node in moved or users:
            node.input[0] = pad.input[0]
        graph.node.remove(pad)


def remove_unused(graph: onnx.GraphProto) -> None:
    """Removes constants that no node reads."""
    used = {name for node in graph.node for name in node.input}
    for tensor in [t for t in graph.initializer if t.name not in used]:
        graph.initializer.remove(tensor)


def name_convolutions(graph: onnx.GraphProto) -> None:
    """Names 3D convolutions after the layers they come from, e.g. `stem_conv`."""
    for node in three_dimensional(graph):
        # stage1_block1/grouped/conv/kernel:0
        node.name = node.input[1].partition("/conv/kernel")[0]


def three_dimensional(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The 3D convolutions: those of the backbone, and no others."""
    ranks = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    return [
        node
        for node in graph.node
        if node.op_type == "Conv" and ranks.get(node.input[1]) == 5
    ]


def attribute(node: onnx.NodeProto, name: str):
    """The value of an attribute, or `None`."""
    for item in node.attribute:
        if item.name == name:
            return helper.get_attribute_value(item)
    return None


def set_attribute(node: onnx.NodeProto, name: str, value) -> None:
    """Sets an attribute, whether the node has it or not."""
    remove_attribute(node, name)
    node.attribute.append(helper.make_attribute(name, value))


def remove_attribute(node: onnx.NodeProto, name: str) -> None:
    """Removes an attribute if the node has it."""
    for item in list(node.attribute):
        if item.name == name:
            node.attribute.remove(item)


def _only_users(graph, name):
    return [node for node in graph.node if name in node.input]


def _takes_padding(node, value):
    explicit = attribute(node, "auto_pad") in (None, b"NOTSET", b"VALID")
    operator = {0.0: "Conv", -math.inf: "MaxPool"}.get(value)
    return node.op_type == operator and explicit


def _padding_value(pad, constants):
    """The number that fills, or `None` if it is not a constant."""
    if attribute(pad, "mode") not in (None, b"constant"):
        return None
    if len(pad.input) > 3 and pad.input[3]:
        return None
    if len(pad.input) < 3 or not pad.input[2]:
        return 0.0
    value = constants.get(pad.input[2])
    return None if value is None else float(numpy_helper.to_array(value).item())


def _padding(pad, constants):
    """Amounts before and after each axis, or `None` if they are not constant."""
    pads = constants.get(pad.input[1])
    if pads is None:
        return None
    pads = numpy_helper.to_array(pads).tolist()
    if min(pads) < 0:
        return None
    return pads[: len(pads) // 2], pads[len(pads) // 2 :]
