"""A forward pass of one network in every runtime, beside PyTorch and OpenVINO.

    python -m benchmarks.inference --preset resnext101-16f --batch 1 8 --threads 2
    python -m benchmarks.inference --preset nano-16f --rounds 3 --seconds 0.2

All get the same uint8 clips and give the same logits; normalising the pixels is part of
the work. Every contestant has a process of its own, limited to the same CPUs.
"""

import argparse

from benchmarks.artefacts import prepare
from benchmarks.contestant import Contestant
from benchmarks.options import (
    add_folder_options,
    add_size,
    benchmark_parser,
    race_options,
    run,
)
from benchmarks.race import Result, race
from benchmarks.tables import Table, milliseconds, versus

PYTORCH = ("PyTorch", "PyTorch channels last")
# Ours, beside whom, at most how many times its time. More than one peer: the fastest.
TARGETS = (
    ("SavedModel", PYTORCH, 1.0),
    ("ONNX, ONNX Runtime", ("PyTorch's ONNX, ONNX Runtime",), 1.05),
    ("ONNX, OpenVINO", ("PyTorch's ONNX, OpenVINO",), 1.05),
    ("TFLite float32", PYTORCH, 1.1),
    ("TFLite INT8", ("PyTorch's ONNX, OpenVINO",), 1.0),
    ("model.predict", PYTORCH, 1.3),
    ("DynamoNet, logits", ("SavedModel",), 1.1),
    ("DynamoNet, all outputs", ("SavedModel",), 1.1),
)
# Those that are timed in one race: TensorFlow's artefacts take gigabytes each, and with
# all of them at once a machine of 24 GB runs out of memory.
RACES = {
    "Forward": lambda name: not name.startswith("DynamoNet"),
    "Forward of DynamoNet beside its backbone": lambda name: (
        name == "SavedModel" or name.startswith("DynamoNet")
    ),
}
TOLERANCES = {"": 1e-3}
# INT8 is another network, as far as differences go.
LEAST_COSINES = {"TFLite INT8": 0.98}

_WORK = "benchmarks.inference_work"
_ARTEFACTS = {
    "SavedModel": ("model", "tensorflow"),
    "ONNX, ONNX Runtime": ("model.onnx", "onnxruntime"),
    "PyTorch's ONNX, ONNX Runtime": ("torch.onnx", "onnxruntime"),
    "ONNX, OpenVINO": ("model.onnx", "openvino"),
    "PyTorch's ONNX, OpenVINO": ("torch.onnx", "openvino"),
    "TFLite float32": ("model.tflite", "litert"),
    "TFLite INT8": ("model.int8.tflite", "litert"),
    "DynamoNet, logits": ("dynamonet", "tensorflow"),
    "DynamoNet, all outputs": ("dynamonet_all", "tensorflow"),
}


def contestants(folder: str, batch: int, threads: int) -> list[Contestant]:
    """Everyone who runs the network of a folder."""
    shared = {"folder": folder, "batch": batch}
    pytorch = f"{_WORK}:pytorch"
    return [
        Contestant("PyTorch", pytorch, shared, threads),
        Contestant(
            "PyTorch channels last",
            pytorch,
            {**shared, "memory": "channels_last"},
            threads,
        ),
        Contestant("model.predict", f"{_WORK}:keras_model", shared, threads),
        *(
            Contestant(
                name,
                f"{_WORK}:artefact",
                {**shared, "file": file, "runtime": runtime},
                threads,
            )
            for name, (file, runtime) in _ARTEFACTS.items()
        ),
    ]


def table(title: str, results: dict[str, Result], batch: int) -> Table:
    """Times of all, and of ours beside their peers."""
    rows = Table(
        f"{title}, batch {batch}",
        ("work", "median ms", "rounds, ms", "clips/s", "peak MiB", "beside", "ratio"),
    )
    aims = {name: (peers, target) for name, peers, target in TARGETS}
    for name, result in results.items():
        beside, ratio = "", ""
        if name in aims:
            peers, target = aims[name]
            found = [results[peer] for peer in peers if peer in results]
            if found:
                peer = min(found, key=lambda result: result.seconds)
                beside, ratio = peer.name, versus(result, peer, target)
        rows.add(
            f"{name} ({result.runtime})",
            milliseconds(result.seconds),
            milliseconds(*result.rounds),
            f"{result.units_per_second:.3g}",
            f"{result.peak_memory_mib:.0f}",
            beside,
            ratio,
        )
    return rows


def measure(arguments: argparse.Namespace) -> list[Table]:
    """A table for each race and batch size."""
    folder = prepare(
        arguments.folder,
        arguments.preset,
        size=arguments.size,
        reuse=arguments.reuse,
    )
    tables = []
    for batch in arguments.batch:
        everyone = contestants(str(folder), batch, arguments.threads)
        wanted = arguments.only or [contestant.name for contestant in everyone]
        raced = set()
        for title, enters in RACES.items():
            entered = [c for c in everyone if c.name in wanted and enters(c.name)]
            names = {contestant.name for contestant in entered}
            if names <= raced:
                continue
            raced |= names
            results = race(
                entered,
                tolerances=TOLERANCES,
                least_cosines=LEAST_COSINES,
                **race_options(arguments),
            )
            tables.append(table(title, results, batch))
            print(tables[-1].to_markdown(), flush=True)
    return tables


def make_parser() -> argparse.ArgumentParser:
    """The options of this benchmark."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--preset", default="resnext101-16f")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--only", nargs="+", help="names of contestants")
    add_size(parser)
    add_folder_options(parser)
    return parser


if __name__ == "__main__":
    run(make_parser(), measure)
