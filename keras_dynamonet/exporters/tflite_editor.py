"""Changes the types of tensors in a TFLite graph."""

from collections.abc import Sequence

import numpy as np

from keras_dynamonet.exporters.tflite_operators import (
    Operator,
    operators_of,
    read_graph,
    stored_bytes,
)

# The operator versions from which on the runtimes' kernels take INT8 (weights per
# filter for the first two).
_INT8_VERSIONS = {
    "CONV_2D": 5,
    "FULLY_CONNECTED": 12,
    "CONCATENATION": 2,
    "MAX_POOL_2D": 2,
    "MEAN": 2,
    "MUL": 2,
    "PAD": 2,
    "SLICE": 2,
    "STRIDED_SLICE": 2,
    "TRANSPOSE": 2,
    "DEQUANTIZE": 2,
    "QUANTIZE": 2,
}


class GraphEditor:
    """Builds a graph of INT8 and float32 operators from a float32 graph.

    Take the operators in order and hand each one back with :meth:`keep_in_float` or
    :meth:`add_int8`; conversions between the two are added where they are needed, once
    for each tensor.

    Args:
        content: A TFLite file with one graph.
    """

    def __init__(self, content: bytes):
        from tensorflow.lite.python import schema_py_generated as schema

        self._schema = schema
        self._model = read_graph(content)
        self._graph = self._model.subgraphs[0]
        self._operators = []
        self._in_int8 = {}  # index of a float tensor -> index of its INT8 form
        self._not_in_float = set()  # float tensors that exist in INT8 only

    def take_operators(self) -> list[Operator]:
        """The operators of the float graph."""
        return list(operators_of(self._model))

    def keep_in_float(self, operator: Operator) -> None:
        """Adds an operator as it is."""
        for tensor in operator.inputs:
            self._ensure_float(tensor)
        self._operators.append(operator.node)

    def add_int8(
        self, operator: Operator, inputs: Sequence[int], scale: float, zero_point: int
    ) -> None:
        """Adds an operator with an INT8 result.

        Args:
            operator: The operator of the float graph.
            inputs: Indices of tensors of the types that it takes.
            scale: Of the result: `value = scale * (code - zero_point)`.
            zero_point: Of the result.
        """
        (result,) = operator.outputs
        self._in_int8[result] = self._add_tensor(result, "INT8", [scale], [zero_point])
        self._not_in_float.add(result)
        self._raise_version(operator.node.opcodeIndex, operator.kind)
        operator.node.inputs = np.array(inputs, "int32")
        operator.node.outputs = np.array([self._in_int8[result]], "int32")
        self._operators.append(operator.node)

    def as_int8(self, tensor: int, scale: float, zero_point: int) -> int:
        """The INT8 form of a float tensor, which is made if there is none.

        Args:
            tensor: Index in the float graph.
            scale: For a new form.
            zero_point: For a new form.

        Returns:
            Index of the INT8 tensor.
        """
        if tensor not in self._in_int8:
            new = self._add_tensor(tensor, "INT8", [scale], [zero_point])
            self._add_conversion("QUANTIZE", tensor, new)
            self._in_int8[tensor] = new
        return self._in_int8[tensor]

    def rescale(self, tensor: int, scale: float, zero_point: int) -> int:
        """An INT8 tensor with another scale: itself if it has it."""
        if self.parameters(tensor) == (scale, zero_point):
            return tensor
        new = self._add_tensor(tensor, "INT8", [scale], [zero_point])
        self._add_conversion("QUANTIZE", tensor, new)
        return new

    def parameters(self, tensor: int) -> tuple[float, int]:
        """Scale and zero point of an INT8 tensor."""
        quantization = self._graph.tensors[tensor].quantization
        return float(quantization.scale[0]), int(quantization.zeroPoint[0])

    def is_float_constant(self, tensor: int) -> bool:
        """Whether a tensor holds float32 numbers that are stored in the file."""
        is_float = (
            tensor >= 0
            and self._graph.tensors[tensor].type == self._schema.TensorType.FLOAT32
        )
        return is_float and stored_bytes(self._model, tensor) is not None

    def constant(self, tensor: int) -> np.ndarray:
        """The numbers of a float constant."""
        data = stored_bytes(self._model, tensor)
        return data.view("float32").reshape(self._graph.tensors[tensor].shape)

    def add_constant(self, like: int, values: np.ndarray, scales: np.ndarray) -> int:
        """Stores integers.

        Args:
            like: Tensor whose name the new one takes.
            values: int8 or int32; the first axis is that of the filters.
            scales: One for each filter.

        Returns:
            Index of the new tensor.
        """
        type_ = {"int8": "INT8", "int32": "INT32"}[values.dtype.name]
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), "uint8")
        self._model.buffers.append(buffer)
        index = self._add_tensor(like, type_, scales, np.zeros(len(scales), "int64"))
        tensor = self._graph.tensors[index]
        tensor.buffer = len(self._model.buffers) - 1
        tensor.shape = np.array(values.shape, "int32")
        tensor.shapeSignature = None
        return index

    def finish(self) -> bytes:
        """The new file, without what no operator uses any more."""
        from tensorflow.lite.tools import flatbuffer_utils

        for tensor in self._graph.outputs:
            self._ensure_float(tensor)
        self._graph.operators = self._operators
        self._drop_unused()
        return bytes(flatbuffer_utils.convert_object_to_bytearray(self._model))

    def _ensure_float(self, tensor):
        if tensor in self._not_in_float:
            self._add_conversion("DEQUANTIZE", self._in_int8[tensor], tensor)
            self._not_in_float.remove(tensor)

    def _add_tensor(self, like, type_, scales, zero_points):
        old, new = self._graph.tensors[like], self._schema.TensorT()
        new.name = old.name + b"_" + type_.lower().encode()
        new.type = getattr(self._schema.TensorType, type_)
        new.shape, new.shapeSignature = old.shape, old.shapeSignature
        new.hasRank = old.hasRank
        new.quantization = self._schema.QuantizationParametersT()
        new.quantization.scale = np.array(scales, "float32")
        new.quantization.zeroPoint = np.array(zero_points, "int64")
        self._graph.tensors.append(new)
        return len(self._graph.tensors) - 1

    def _add_conversion(self, kind, tensor, result):
        node = self._schema.OperatorT()
        node.opcodeIndex = self._operator_code(kind)
        node.inputs, node.outputs = (
            np.array([index], "int32") for index in (tensor, result)
        )
        self._operators.append(node)

    def _operator_code(self, kind):
        code = getattr(self._schema.BuiltinOperator, kind)
        known = [
            max(entry.builtinCode, entry.deprecatedBuiltinCode)
            for entry in self._model.operatorCodes
        ]
        if code not in known:
            new = self._schema.OperatorCodeT()
            new.builtinCode, new.deprecatedBuiltinCode = code, min(code, 127)
            self._model.operatorCodes.append(new)
            known.append(code)
        index = known.index(code)
        self._raise_version(index, kind)
        return index

    def _raise_version(self, index, kind):
        code = self._model.operatorCodes[index]
        code.version = max(code.version, _INT8_VERSIONS.get(kind, 1))

    def _drop_unused(self):
        """Renumbers tensors and buffers so that only used ones are left."""
        graph, model = self._graph, self._model
        fields = [graph.inputs, graph.outputs]
        fields += [f for node in graph.operators for f in (node.inputs, node.outputs)]
        used = sorted({int(index) for field in fields for index in field} - {-1})
        place = {-1: -1, **{old: new for new, old in enumerate(used)}}

        def renumber(field):
            return np.array([place[int(index)] for index in field], "int32")

        graph.inputs, graph.outputs = renumber(graph.inputs), renumber(graph.outputs)
        for node in graph.operators:
            node.inputs, node.outputs = renumber(node.inputs), renumber(node.outputs)
        graph.tensors = [graph.tensors[index] for index in used]
        for signature in model.signatureDefs or ():
            for entry in (*signature.inputs, *signature.outputs):
                entry.tensorIndex = place[entry.tensorIndex]
        # Buffer 0 is empty by convention; metadata refer to buffers, too.
        held = {0, *(tensor.buffer for tensor in graph.tensors)}
        held |= {entry.buffer for entry in model.metadata or ()}
        kept = sorted(held)
        place = {old: new for new, old in enumerate(kept)}
        for owner in (*graph.tensors, *(model.metadata or ())):
            owner.buffer = place[owner.buffer]
        model.buffers = [model.buffers[index] for index in kept]
