"""Where a TFLite file spends its time: every operator alone, in XNNPACK.

    python -m benchmarks.artefacts FOLDER --preset resnext101-16f --forms tflite int8
    python -m benchmarks.tflite_operators FOLDER/model.int8.tflite --batch 1 8

Runtimes have a profiler in their command line tools alone. So every operator becomes a
file of its own, with the shapes that it has in the network, and runs until its time is
known; what is there several times is timed once. The last row is the whole file, in the
same process: operators alone find their numbers in the cache, and what passes between
them is missing from their sum.
"""

import argparse
import collections
import copy
import itertools
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.tables import Table, milliseconds
from keras_dynamonet.exporters.tflite_operators import (
    Operator,
    operators_of,
    read_graph,
    stored_bytes,
)
from keras_dynamonet.exporters.tflite_quantization import open_with_all_tensors
from keras_dynamonet.exporters.timing import measure
from keras_dynamonet.machine import count_cpus

# What computes shapes takes no time worth a row.
_VALUES = ("FLOAT32", "INT8", "UINT8")


class Workload(NamedTuple):
    """An operator as it occurs in a network."""

    operator: Operator
    role: str
    """What it counts as."""
    products: int
    """Multiplications and additions."""
    key: tuple
    """All that its time depends on."""


def profile(
    path: Path, batch: int, threads: int, iterations: int, seconds: float
) -> Table:
    """The times of a file's operators.

    Args:
        path: The file.
        batch: Clips.
        threads: CPUs.
        iterations: Runs of each operator at least; the median counts.
        seconds: Length of all runs of an operator at least.

    Returns:
        A row for each role.
    """
    content = path.read_bytes()
    model = read_graph(content)
    values = _run_reference(content, model, batch)
    workloads = list(_workloads(model, values))

    def time(content, inputs):
        return _median_seconds(content, inputs, threads, iterations, seconds)

    by_key = {workload.key: workload for workload in workloads}
    timed = {
        key: time(*_alone(model, workload.operator, values))
        for key, workload in by_key.items()
    }
    whole = time(content, [values[int(model.subgraphs[0].inputs[0])]])
    total = sum(timed[workload.key] for workload in workloads)
    roles = collections.defaultdict(list)
    for workload in workloads:
        roles[workload.role].append((timed[workload.key], workload.products))
    table = Table(
        f"{path.name}, batch {batch}, {threads} threads",
        ("operators", "number", "ms", "share of the sum, %", "GMAC", "GMAC/s"),
    )

    def add(name, number, spent, *work):
        share = f"{100 * spent / total:.1f}"
        table.add(name, number, milliseconds(spent), share, *(work or ("", "")))

    sums = {role: np.sum(found, axis=0) for role, found in roles.items()}
    for role, (spent, products) in sorted(sums.items(), key=lambda item: -item[1][0]):
        work = (f"{products / 1e9:.2f}", f"{products / spent / 1e9:.0f}")
        add(role, str(len(roles[role])), spent, *(work if products else ()))
    add("sum of all", str(len(workloads)), total)
    add("whole file", "", whole)
    return table


def _run_reference(content, model, batch):
    """The value of every tensor that a run computes or reads, by its index.

    The kernels that keep all tensors are slow: they see one clip, which then stands for
    the whole batch, along the first axis of whatever was computed.
    """
    interpreter = open_with_all_tensors(content)
    clip = interpreter.get_input_details()[0]
    pixels = np.random.default_rng(0).integers(0, 256, clip["shape"], "uint8")
    interpreter.set_tensor(clip["index"], pixels)
    interpreter.invoke()
    operators = list(operators_of(model))
    computed = {clip["index"], *(i for o in operators for i in o.outputs)}
    used = {i for o in operators for i in (*o.inputs, *o.outputs) if i >= 0}
    values = {index: interpreter.get_tensor(index) for index in used}
    return {
        index: np.concatenate([value] * batch)
        if index in computed and value.dtype.name.upper() in _VALUES
        else value
        for index, value in values.items()
    }


def _workloads(model, values):
    shapes = {index: value.shape for index, value in values.items()}
    types = {index: value.dtype.name for index, value in values.items()}
    for operator in operators_of(model):
        if operator.output_types[0] not in _VALUES:
            continue
        options = operator.node.builtinOptions
        key = (
            operator.kind,
            tuple((shapes[i], types[i]) for i in operator.inputs if i >= 0),
            tuple((shapes[i], types[i]) for i in operator.outputs),
            repr(sorted(vars(options).items())) if options else "",
        )
        role, products = _role(operator, shapes), count_products(operator, shapes)
        yield Workload(operator, role, products, key)


def count_products(operator: Operator, shapes: Mapping[int, tuple[int, ...]]) -> int:
    """Multiplications, each with an addition, that the weights of an operator ask for.

    Args:
        operator: Any; those without weights have none.
        shapes: Of its tensors, by their indices.
    """
    if operator.kind not in ("CONV_2D", "FULLY_CONNECTED"):
        return 0
    return math.prod((*shapes[operator.outputs[0]], *shapes[operator.inputs[1]][1:]))


def _role(operator, shapes):
    name = f"{operator.kind} {operator.output_types[0]}"
    if operator.kind != "CONV_2D":
        return name
    _, height, width, channels = shapes[operator.inputs[1]]
    groups = shapes[operator.inputs[0]][-1] // channels
    stride = operator.node.builtinOptions.strideH
    grouped = f", groups of {channels}" if groups > 1 else ""
    return f"{name}, {height}x{width}, stride {stride}{grouped}"


def _alone(model, operator, values):
    """A file of one operator, and what goes in.

    What was computed goes in, what was stored in the file stays there. Computed shapes
    are stored, too: XNNPACK wants to know them.
    """
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    graph = model.subgraphs[0]
    single = schema.ModelT()
    single.version, single.operatorCodes = model.version, model.operatorCodes
    single.buffers = [schema.BufferT()]
    alone = schema.SubGraphT()
    alone.tensors, given = [], []
    single.subgraphs = [alone]
    place = {-1: -1}
    for index in dict.fromkeys((*operator.inputs, *operator.outputs)):
        if index < 0:
            continue
        place[index] = len(alone.tensors)
        tensor = copy.copy(graph.tensors[index])
        tensor.shape = np.array(values[index].shape, "int32")
        tensor.shapeSignature = None
        is_shape = tensor.type == schema.TensorType.INT32
        stored = stored_bytes(model, index) is not None
        tensor.buffer = 0
        if index in operator.inputs and (stored or is_shape):
            tensor.buffer = len(single.buffers)
            single.buffers.append(schema.BufferT())
            single.buffers[-1].data = np.frombuffer(values[index].tobytes(), "uint8")
        elif index in operator.inputs:
            given.append(index)
        alone.tensors.append(tensor)
    node = copy.copy(operator.node)
    node.inputs, node.outputs, alone.inputs, alone.outputs = (
        np.array([place[index] for index in field], "int32")
        for field in (operator.inputs, operator.outputs, given, operator.outputs)
    )
    alone.operators = [node]
    content = bytes(flatbuffer_utils.convert_object_to_bytearray(single))
    return content, [values[index] for index in given]


def _median_seconds(content, inputs, threads, iterations, seconds):
    """Of one run."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=threads)
    details = interpreter.get_input_details()
    for detail, value in zip(details, inputs, strict=True):
        interpreter.resize_tensor_input(detail["index"], value.shape)
    interpreter.allocate_tensors()
    for detail, value in zip(details, inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    report = measure(
        lambda _: interpreter.invoke(),
        inputs[0],
        duration_seconds=seconds,
        iterations=iterations,
        warm_up_seconds=0,
    )
    return statistics.median(report.latencies_ms) / 1e3


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table for each file and batch."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, default=count_cpus())
    parser.add_argument("--iterations", type=int, default=3, help="runs at least")
    parser.add_argument("--seconds", type=float, default=0.3, help="of runs at least")
    arguments = parser.parse_args(argv)
    for batch, path in itertools.product(arguments.batch, arguments.files):
        table = profile(
            path, batch, arguments.threads, arguments.iterations, arguments.seconds
        )
        print(table.to_markdown(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
