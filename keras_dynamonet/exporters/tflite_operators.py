"""What a TFLite file is made of: its operators and the types they compute in."""

import collections
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from keras_dynamonet.errors import UserError

CONVOLUTIONS = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "TRANSPOSE_CONV",
    "CONV_3D",
    "CONV_3D_TRANSPOSE",
)


@dataclass(frozen=True)
class Convolution:
    """A convolution in a TFLite file.

    Args:
        name: Name of its output in the file.
        operator: Kind, e.g. `"CONV_2D"`.
        input: Type of the input, e.g. `"INT8"`.
        weights: Type of the kernel.
        output: Type of the output.
        weight_shape: `(filters, height, width, channels / groups)`.
    """

    name: str
    operator: str
    input: str
    weights: str
    output: str
    weight_shape: tuple[int, ...]

    @property
    def is_int8(self) -> bool:
        """Whether input, weights and output are all INT8."""
        return {self.input, self.weights, self.output} == {"INT8"}

    def describe(self) -> dict:
        """For the sidecar."""
        return {**asdict(self), "weight_shape": list(self.weight_shape)}


@dataclass(frozen=True)
class Operator:
    """An operator in a TFLite file.

    Args:
        kind: E.g. `"CONV_2D"`.
        name: Name of its result.
        inputs: Indices of the tensors that go in; -1 for one left out.
        outputs: Indices of the results.
        input_types: E.g. `("FLOAT32", "INT8")`; empty text for one left out.
        output_types: Types of the results.
        node: Itself, as TensorFlow's schema has it.
    """

    kind: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_types: tuple[str, ...]
    output_types: tuple[str, ...]
    node: Any


def read_graph(content: bytes):
    """The file as an object tree of TensorFlow's schema."""
    from tensorflow.lite.python import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))


def stored_bytes(model, tensor: int) -> np.ndarray | None:
    """What the file holds of a tensor, as uint8: None if it is computed or given."""
    data = model.buffers[model.subgraphs[0].tensors[tensor].buffer].data
    return None if data is None or not len(data) else np.asarray(data, "uint8")


def operators_of(model) -> Iterator[Operator]:
    """Every operator of an object tree, in order."""
    kinds, types = _names("BuiltinOperator"), _names("TensorType")
    for graph in model.subgraphs:
        tensors = graph.tensors

        def types_of(indices, tensors=tensors):
            return tuple("" if i < 0 else types[tensors[i].type] for i in indices)

        for node in graph.operators:
            code = model.operatorCodes[node.opcodeIndex]
            inputs, outputs = map(int, node.inputs), map(int, node.outputs)
            inputs, outputs = tuple(inputs), tuple(outputs)
            yield Operator(
                # Codes above 127 do not fit the older of the two fields.
                kinds[max(code.builtinCode, code.deprecatedBuiltinCode)],
                tensors[outputs[0]].name.decode(),
                inputs,
                outputs,
                types_of(inputs),
                types_of(outputs),
                node,
            )


def list_operators(content: bytes) -> list[Operator]:
    """Every operator of a file, in order."""
    return list(operators_of(read_graph(content)))


def count_operators(content: bytes) -> dict[str, int]:
    """How often each operator occurs, by kind and type of the result.

    Example:

    ```python
    count_operators(Path("model.tflite").read_bytes())
    # {"ADD FLOAT32": 22, "CONV_2D INT8": 17, ...}
    ```
    """
    counts = collections.Counter(
        f"{operator.kind} {operator.output_types[0]}"
        for operator in list_operators(content)
    )
    return dict(sorted(counts.items()))


def list_convolutions(content: bytes) -> list[Convolution]:
    """Every convolution of a file, in order."""
    return [convolution for convolution, _ in _convolutions(read_graph(content))]


def _convolutions(model):
    """Every convolution of an object tree, and its operator."""
    for operator in operators_of(model):
        if operator.kind not in CONVOLUTIONS:
            continue
        image = 2 if "TRANSPOSE" in operator.kind else 0
        shape = model.subgraphs[0].tensors[operator.inputs[1]].shape
        convolution = Convolution(
            operator.name,
            operator.kind,
            operator.input_types[image],
            operator.input_types[1],
            operator.output_types[0],
            tuple(int(size) for size in shape),
        )
        yield convolution, operator


def check_builtin(content: bytes) -> None:
    """Checks that a plain TFLite runtime has every operator.

    Raises:
        UserError: If one is custom; TensorFlow's own ("Flex") are custom, too.
    """
    model = read_graph(content)
    custom = {
        code.customCode.decode() for code in model.operatorCodes if code.customCode
    }
    if custom:
        raise UserError(
            f"The TFLite file has operators that are not built in: {sorted(custom)}."
        )


def belongs_to(name: str, layers: Sequence[str]) -> bool:
    """Whether a result is that of one of some layers, by its name in the file.

    Layers are called by their whole name; Keras may have numbered the use of one.

    Example:

    >>> belongs_to("net/stage1_1/conv/Relu;net/stage1_1/add", ["/stage1", "/stage2"])
    True
    >>> belongs_to("net/stage12/conv/Relu", ["/stage1"])
    False
    """
    return any(
        re.search(rf"{re.escape(layer)}(_\d+)?(/|;|$)", name) for layer in layers
    )


def check_int8(content: bytes) -> None:
    """Checks that every convolution with weights is INT8 from input to output.

    Converters leave operators in float without a word, and names of layers get lost:
    so all convolutions count but those that only cut a picture into patches.

    Args:
        content: The file.

    Raises:
        UserError: If one is not INT8 or there is none.
    """
    model = read_graph(content)
    chosen = [
        convolution
        for convolution, operator in _convolutions(model)
        if not _cuts_patches(model, operator)
    ]
    others = [c.name for c in chosen if not c.is_int8]
    if not chosen:
        raise UserError(
            "tflite: these outputs need no convolution that was trained, and nothing "
            "else becomes INT8. Export float32."
        )
    if others:
        raise UserError(
            f"{len(others)} of {len(chosen)} convolutions of the TFLite file are not "
            f"INT8: {', '.join(others[:3])}."
        )


def _cuts_patches(model, operator):
    """Whether a kernel is an orthogonal basis of the patches of a single plane.

    `layers.dynamic_motion_filter.neighbourhoods` makes such; nothing that was trained
    has as many filters as taps, all at right angles and of length 1.
    """
    shape = model.subgraphs[0].tensors[operator.inputs[1]].shape
    data = stored_bytes(model, operator.inputs[1])
    if operator.input_types[1] != "FLOAT32" or data is None or shape[-1] != 1:
        return False
    filters = data.view("float32").reshape(shape[0], -1)
    products = filters @ filters.T
    return filters.shape[0] == filters.shape[1] and np.allclose(
        products, np.eye(len(filters)), atol=1e-3
    )


def _names(enumeration):
    from tensorflow.lite.python import schema_py_generated as schema

    members = vars(getattr(schema, enumeration))
    return {value: name for name, value in members.items() if not name.startswith("_")}
