"""Keeping the kernels of 3D convolutions away from the converter.

tf2onnx copies every constant of a graph in each of its passes and frees none of the
copies before its end: 13 GB for a network of 190 MB. So kernels come to it as inputs,
and return to the model as constants.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import numpy_helper

from keras_dynamonet.exporters.onnx_graph import attribute

if TYPE_CHECKING:
    from tensorflow.core.framework.graph_pb2 import GraphDef


def take_out_kernels(graph_def: "GraphDef") -> dict[str, np.ndarray]:
    """Replaces the constant kernels of 3D convolutions by placeholders.

    Args:
        graph_def: The graph, without functions; it is changed.

    Returns:
        The kernels by the names of their nodes.
    """
    import tensorflow as tf

    names = {node.input[1] for node in graph_def.node if node.op == "Conv3D"}
    kernels = {}
    for node in graph_def.node:
        if node.op == "Const" and node.name in names:
            kernels[node.name] = tf.make_ndarray(node.attr["value"].tensor)
            placeholder = tf.compat.v1.NodeDef(op="Placeholder", name=node.name)
            placeholder.attr["dtype"].CopyFrom(node.attr["dtype"])
            shape = node.attr["value"].tensor.tensor_shape
            placeholder.attr["shape"].shape.CopyFrom(shape)
            node.CopyFrom(placeholder)
    return kernels


def put_back_kernels(model: onnx.ModelProto, kernels: Mapping[str, np.ndarray]) -> None:
    """Makes kernels constants of a model, in the order of axes that it reads them in.

    Args:
        model: What became of the graph, with the inputs `NAME:0`; it is changed.
        kernels: What :func:`take_out_kernels` returned.
    """
    graph = model.graph
    values = {f"{name}:0": kernel for name, kernel in kernels.items()}
    for value in [value for value in graph.input if value.name in values]:
        graph.input.remove(value)
    for node in [node for node in graph.node if node.op_type == "Transpose"]:
        if node.input[0] in values:
            name = node.input[0]
            kernel = values.pop(name).transpose(attribute(node, "perm"))
            for user in graph.node:
                for place, read in enumerate(user.input):
                    if read == node.output[0]:
                        user.input[place] = name
            graph.node.remove(node)
            graph.initializer.append(
                numpy_helper.from_array(np.ascontiguousarray(kernel), name)
            )
    graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in values.items())
