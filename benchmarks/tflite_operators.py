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
import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks.options import benchmark_parser
from benchmarks.tables import Table, milliseconds
from keras_dynamonet.exporters.tflite_operators import operators_of, read_graph
from keras_dynamonet.exporters.tflite_quantization import open_with_all_tensors

# What computes shapes takes no time worth a row.
_VALUES = ("FLOAT32", "INT8", "UINT8")


class Workload:
    """An operator as it occurs in a network, with all that its time depends on."""

    def __init__(self, operator, shapes, types, role):
        self.operator = operator
        self.role = role
        self.products = 0  # multiplications and additions
        if operator.kind in ("CONV_2D", "FULLY_CONNECTED"):
            kernel = shapes[operator.inputs[1]]
            results = np.prod(shapes[operator.outputs[0]])
            self.products = int(results * np.prod(kernel[1:]))
        options = getattr(operator.node, "builtinOptions", None)
        self.key = (
            operator.kind,
            tuple((shapes[i], types[i]) for i in operator.inputs if i >= 0),
            tuple((shapes[i], types[i]) for i in operator.outputs),
            repr(sorted(vars(options).items())) if options else "",
        )


def profile(path: Path, batch: int, threads: int, rounds: int, seconds: float) -> Table:
    """The times of a file's operators.

    Args:
        path: The file.
        batch: Clips.
        threads: CPUs.
        rounds: Turns of each operator; the median counts.
        seconds: Length of a turn.

    Returns:
        A row for each role.
    """
    content = path.read_bytes()
    model = read_graph(content)
    values = _run_reference(content, batch)
    workloads = list(_workloads(model, values))
    single = {workload.key: workload for workload in workloads}
    timed = {
        key: _time(_alone(model, workload.operator, values), threads, rounds, seconds)
        for key, workload in single.items()
    }
    clip = values[int(model.subgraphs[0].inputs[0])]
    whole = _time((content, [clip]), threads, rounds, seconds)
    roles = collections.defaultdict(list)
    for workload in workloads:
        roles[workload.role].append((timed[workload.key], workload.products))
    table = Table(
        f"{path.name}, batch {batch}, {threads} threads",
        ("operators", "number", "ms", "share of the sum, %", "GMAC", "GMAC/s"),
    )
    total = sum(timed[workload.key] for workload in workloads)
    sums = {
        role: [sum(column) for column in zip(*found, strict=True)]
        for role, found in roles.items()
    }
    for role, (spent, products) in sorted(sums.items(), key=lambda item: -item[1][0]):
        work = (f"{products / 1e9:.2f}", f"{products / spent / 1e9:.0f}")
        table.add(
            role,
            str(len(roles[role])),
            milliseconds(spent),
            f"{100 * spent / total:.1f}",
            *(work if products else ("", "")),
        )
    number, share = str(len(workloads)), f"{100 * whole / total:.1f}"
    table.add("sum of all", number, milliseconds(total), "100.0", "", "")
    table.add("whole file", "", milliseconds(whole), share, "", "")
    return table


def _run_reference(content, batch):
    """The value of every tensor that a run computes or reads, by its index.

    The kernels that keep all tensors are slow: they see one clip, which then stands for
    the whole batch, along the first axis of whatever was computed.
    """
    interpreter = open_with_all_tensors(content)
    clip = interpreter.get_input_details()[0]
    pixels = np.random.default_rng(0).integers(0, 256, clip["shape"], "uint8")
    interpreter.set_tensor(clip["index"], pixels)
    interpreter.invoke()
    operators = list(operators_of(read_graph(content)))
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
        if operator.output_types[0] in _VALUES:
            yield Workload(operator, shapes, types, _role(operator, shapes))


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
        data = model.buffers[tensor.buffer].data
        stored = data is not None and len(data) > 0
        is_shape = tensor.type == schema.TensorType.INT32
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


def _time(work, threads, rounds, seconds):
    """Seconds of one run, the median of the rounds' means."""
    from ai_edge_litert.interpreter import Interpreter

    content, inputs = work
    interpreter = Interpreter(model_content=content, num_threads=threads)
    details = interpreter.get_input_details()
    for detail, value in zip(details, inputs, strict=True):
        interpreter.resize_tensor_input(detail["index"], value.shape)
    interpreter.allocate_tensors()
    for detail, value in zip(details, inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    times = []
    for _ in range(rounds):
        start, runs = time.perf_counter(), 0
        while not runs or time.perf_counter() - start < seconds:
            interpreter.invoke()
            runs += 1
        times.append((time.perf_counter() - start) / runs)
    return statistics.median(times)


def main(arguments: argparse.Namespace) -> None:
    """Prints a table for each file and batch."""
    for batch, path in itertools.product(arguments.batch, arguments.files):
        rounds, seconds = arguments.rounds, arguments.seconds
        table = profile(path, batch, arguments.threads, rounds, seconds)
        print(table.to_markdown(), flush=True)


if __name__ == "__main__":
    parser = benchmark_parser(__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.set_defaults(seconds=0.1, rounds=3)
    main(parser.parse_args())
