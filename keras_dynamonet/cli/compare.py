"""`dynamonet compare`: artefacts beside Keras once more, e.g. on other clips."""

import argparse
from pathlib import Path

from keras_dynamonet.cli.number_types import at_least
from keras_dynamonet.cli.output import load_tensorflow, print_json, say

EXAMPLES = """\
examples:
  dynamonet compare runs/first runs/first/export/model.onnx
  dynamonet compare best.keras model.onnx model.tflite --data videos --clips 256
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the program and its options to the command `dynamonet`."""
    parser = subparsers.add_parser(
        "compare",
        help="compare exported artefacts with Keras once more",
        description="Runs artefacts in their own runtimes and compares every output "
        "with Keras on real clips. Fails if one of them does not hold.",
        epilog=EXAMPLES,
    )
    parser.add_argument("model", metavar="RUN", help="folder of a run, or .keras file")
    parser.add_argument(
        "artefacts", metavar="ARTEFACT", nargs="+", help="files or SavedModel folders"
    )
    parser.add_argument(
        "--data", metavar="DATA", help="videos or a .npy file (default: those of RUN)"
    )
    parser.add_argument("--layout", default="auto", help="layout of DATA")
    parser.add_argument(
        "--clips",
        type=at_least(1),
        default=64,
        metavar="N",
        help="clips to compare on (default: 64)",
    )
    parser.add_argument(
        "--out", metavar="FOLDER", help="also write parity.json and parity.md there"
    )
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compares, reports."""
    load_tensorflow(verbose=arguments.verbose)
    from keras_dynamonet.cli.parity_table import print_parity
    from keras_dynamonet.exporters.comparison import compare_artefact, read_sidecar
    from keras_dynamonet.exporters.parity_report import write_parity
    from keras_dynamonet.exporters.source import open_source

    for path in arguments.artefacts:
        read_sidecar(Path(path))
    source = open_source(
        arguments.model,
        arguments.data,
        layout=arguments.layout,
        num_parity=arguments.clips,
        num_calibration=1,
    )
    reports = [compare_artefact(source, path) for path in arguments.artefacts]
    if arguments.out:
        path = write_parity(Path(arguments.out), reports, source=source.clips.source)
        say(f"Written: {path}, {path.with_suffix('.md').name}")
    if arguments.json:
        print_json([entry for report in reports for entry in report.to_json()])
    else:
        print_parity(reports)
        for report in reports:
            for entry in report.entries:
                for problem in entry.problems:
                    say(f"{report.artefact}: {entry.output}: {problem}")
    return 0 if all(reports) else 1
