"""`dynamonet benchmark`: how fast a network is here, in the words of `trtexec`."""

import argparse
import platform
from pathlib import Path

from keras_dynamonet.cli.argument_types import names
from keras_dynamonet.cli.output import (
    load_tensorflow,
    make_table,
    print_json,
    result_console,
    say,
    step_progress,
)
from keras_dynamonet.errors import UserError
from keras_dynamonet.machine import count_cpus, processor_name

EXAMPLES = """\
examples:
  dynamonet benchmark runs/first
  dynamonet benchmark runs/first/export/model.onnx runs/first/export/model.tflite
  dynamonet benchmark resnext101-16f --batch 1 8 --threads 2 --json
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the program and its options to the command `dynamonet`."""
    parser = subparsers.add_parser(
        "benchmark",
        help="time networks and artefacts on this machine",
        description="Times networks on clips of noise: latency, clips a second and "
        "peak memory, for each of them, each runtime that is installed for it and each "
        "batch size, one after the other and each in a process of its own.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "targets",
        metavar="TARGET",
        nargs="+",
        help="a .keras file, the folder of a run, a preset, a model that comes with "
        "the package, a SavedModel folder, an .onnx, .tflite or .engine file",
    )
    parser.add_argument(
        "--batch",
        type=int,
        nargs="+",
        default=[1],
        metavar="N",
        help="clips in a batch, one or several numbers (default: 1)",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="CPU threads (default: all CPUs)"
    )
    parser.add_argument(
        "--runtime",
        type=names,
        metavar="NAME,...",
        help="only these of keras-predict (model.predict), keras-function (the "
        "compiled function alone), tensorflow, onnxruntime, openvino, litert, tensorrt "
        "(default: all installed)",
    )
    parser.add_argument(
        "--duration",
        type=float,
        default=3.0,
        metavar="SECONDS",
        help="measure at least so long (default: 3)",
    )
    parser.add_argument(
        "--iterations",
        type=int,
        default=10,
        metavar="N",
        help="measure at least so many batches (default: 10)",
    )
    parser.add_argument(
        "--warm-up",
        type=float,
        default=0.2,
        metavar="SECONDS",
        help="run at least so long, and twice, before (default: 0.2)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Times every case; one that fails does not stop the others."""
    # Names of presets live beside the networks.
    if not all(Path(target).exists() for target in arguments.targets):
        load_tensorflow(verbose=arguments.verbose)
    from keras_dynamonet.exporters.timing import time_in_process

    cases = _cases(arguments)
    results, failures = [], 0
    with step_progress("Benchmark") as progress:
        for index, case in enumerate(cases):
            progress(index, len(cases))
            try:
                results.append(time_in_process(case))
            except UserError as error:
                failures += 1
                say(f"error: {error}")
                continue
            if not arguments.json:
                _show(results[-1])
    if arguments.json:
        for result in results:
            del result["text"]
        print_json({"machine": _machine(), "results": results})
    elif len(results) > 1:
        _show_table(results)
    return 1 if failures else 0


def _cases(arguments):
    from keras_dynamonet.exporters.runtimes import runtimes_for
    from keras_dynamonet.exporters.timing import Case

    cpus = count_cpus()
    if arguments.threads is not None and arguments.threads > cpus:
        raise UserError(f"--threads {arguments.threads}: there are {cpus} CPUs.")
    return [
        Case(
            target,
            runtime.name,
            batch,
            cpus if arguments.threads is None else arguments.threads,
            arguments.duration,
            arguments.iterations,
            arguments.warm_up,
        )
        for target in arguments.targets
        for runtime in runtimes_for(target, arguments.runtime)
        for batch in arguments.batch
    ]


def _show(result):
    title, *lines = result["text"].splitlines()
    console = result_console()
    case = f"{result['target']}, {result['with']}, batch {result['batch']}"
    console.print(f"=== {case} ===", markup=False)
    console.print(f"Runtime: {result['runtime']}, {result['threads']} threads")
    for line in lines:
        console.print(line, markup=False)
    console.print(f"Clips: {result['clips_per_second']:.6g} clips/s")
    console.print(f"Peak memory: {_memory(result)}\n")


def _show_table(results):
    numbers = ("batch", "median ms", "clips/s", "peak MiB")
    table = make_table("target", "runtime", *numbers, numbers=numbers)
    for result in results:
        table.add_row(
            result["target"],
            result["with"],
            str(result["batch"]),
            f"{result['latency']['median']:.4g}",
            f"{result['clips_per_second']:.4g}",
            _memory(result).removesuffix(" MiB"),
        )
    result_console().print(table)


def _memory(result):
    memory = result["peak_memory_mib"]
    return "unknown" if memory is None else f"{memory:.0f} MiB"


def _machine():
    return {
        "processor": processor_name(),
        "cpus": count_cpus(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
