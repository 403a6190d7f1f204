"""What a TFLite file is made of: its operators and the types they compute in."""

import collections
from dataclasses import asdict, dataclass

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


def read_graph(content: bytes):
    """The file as an object tree of TensorFlow's schema."""
    from tensorflow.lite.python import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))


def count_operators(content: bytes) -> dict[str, int]:
    """How often each operator occurs, by kind and type of the result.

    Example:

    ```python
    count_operators(Path("model.tflite").read_bytes())
    # {"ADD FLOAT32": 22, "CONV_2D INT8": 17, ...}
    ```
    """
    counts = collections.Counter(
        f"{kind} {_type(graph, operator.outputs[0])}"
        for graph, kind, operator in _operators(content)
    )
    return dict(sorted(counts.items()))


def list_convolutions(content: bytes) -> list[Convolution]:
    """Every convolution in the order of the graph."""
    found = []
    for graph, kind, operator in _operators(content):
        if kind not in CONVOLUTIONS:
            continue
        image, kernel, result = (
            operator.inputs[0],
            operator.inputs[1],
            operator.outputs[0],
        )
        if kind in ("TRANSPOSE_CONV", "CONV_3D_TRANSPOSE"):
            image = operator.inputs[2]
        found.append(
            Convolution(
                graph.tensors[result].name.decode(),
                kind,
                *(_type(graph, tensor) for tensor in (image, kernel, result)),
                tuple(int(size) for size in graph.tensors[kernel].shape),
            )
        )
    return found


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


def check_int8(content: bytes, names: tuple[str, ...]) -> None:
    """Checks that the convolutions of some layers are INT8 from input to output.

    Converters leave operators in float without a word.

    Args:
        content: The file.
        names: Layers; a convolution belongs to one if its name contains it.

    Raises:
        UserError: If one is not INT8 or there is none.
    """
    chosen = [
        convolution
        for convolution in list_convolutions(content)
        if any(name in convolution.name for name in names)
    ]
    others = [c.name for c in chosen if not c.is_int8]
    if others or not chosen:
        raise UserError(
            f"{len(others)} of {len(chosen)} convolutions of the TFLite file are not "
            f"INT8: {', '.join(others[:3]) or 'there are none'}."
        )


def _operators(content):
    model = read_graph(content)
    kinds = _names("BuiltinOperator")
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            # Codes above 127 do not fit the older of the two fields.
            yield (
                graph,
                kinds[max(code.builtinCode, code.deprecatedBuiltinCode)],
                operator,
            )


def _type(graph, tensor):
    return _names("TensorType")[graph.tensors[tensor].type]


def _names(enumeration):
    from tensorflow.lite.python import schema_py_generated as schema

    members = vars(getattr(schema, enumeration))
    return {value: name for name, value in members.items() if not name.startswith("_")}
