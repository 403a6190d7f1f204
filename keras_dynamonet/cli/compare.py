"""`dynamonet compare`: artefacts beside Keras once more, e.g. on other videos."""

import argparse
from pathlib import Path

from keras_dynamonet.cli.argument_types import at_least, local_path
from keras_dynamonet.cli.flags import add_model_argument
from keras_dynamonet.cli.output import (
    load_tensorflow,
    print_json,
    say,
    step_progress,
)

EXAMPLES = """\
examples:
  dynamonet compare runs/first runs/first/export/model.onnx
  dynamonet compare best.keras model.onnx model.tflite --data videos --clips 256
  dynamonet compare runs/first runs/first/export/model.int8.tflite --accuracy
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
    add_model_argument(parser)
    parser.add_argument(
        "artefacts", metavar="ARTEFACT", nargs="+", help="files or SavedModel folders"
    )
    parser.add_argument(
        "--data", metavar="DATA", help="videos or a .npy file (default: those of RUN)"
    )
    parser.add_argument(
        "--layout", help="layout of DATA (default: auto; of RUN's data: as it was read)"
    )
    parser.add_argument(
        "--video-root",
        metavar="FOLDER",
        help="folder that the paths in a list start from, that of RUN's data, too",
    )
    parser.add_argument(
        "--clips",
        type=at_least(1),
        metavar="N",
        help="clips to compare on (default: 64 for float32 alone, else 256)",
    )
    parser.add_argument(
        "--accuracy",
        action="store_true",
        help="also classify every labelled video of a split with Keras and with the "
        "artefacts; at most one point of accuracy may be lost",
    )
    parser.add_argument(
        "--split",
        metavar="NAME",
        help="accuracy: part of DATA (default: test where there is one)",
    )
    parser.add_argument(
        "--out",
        type=local_path,
        metavar="FOLDER",
        help="also write parity.json and parity.md there",
    )
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compares, reports."""
    load_tensorflow(verbose=arguments.verbose)
    from keras_dynamonet.cli.parity_table import print_accuracy, print_parity
    from keras_dynamonet.exporters.comparison import (
        artefact_names,
        compare_artefact,
        sidecar_of,
    )
    from keras_dynamonet.exporters.parity_report import write_parity
    from keras_dynamonet.exporters.source import choose_videos, make_source, open_run

    sidecars = [sidecar_of(path) for path in arguments.artefacts]
    trained = open_run(arguments.model)
    videos = choose_videos(
        trained, arguments.data, arguments.layout, arguments.video_root
    )
    source = make_source(
        trained,
        videos,
        precisions=[sidecar["precision"] for sidecar in sidecars],
        num_parity=arguments.clips,
        num_calibration=0,
    )
    names = artefact_names(arguments.artefacts)
    reports = [
        compare_artefact(source, path, name=name)
        for path, name in zip(arguments.artefacts, names, strict=True)
    ]
    accuracy = _accuracy(trained, videos, arguments) if arguments.accuracy else []
    if arguments.out:
        path = write_parity(
            Path(arguments.out),
            reports,
            source=source.clips.source,
            accuracy=accuracy,
        )
        say(f"Written: {path}, {path.with_suffix('.md').name}")
    if arguments.json:
        print_json(
            {
                "parity": [entry for report in reports for entry in report.to_json()],
                "accuracy": [comparison.to_json() for comparison in accuracy],
            }
        )
    else:
        print_parity(reports)
        if accuracy:
            print_accuracy(accuracy)
        _say_problems(reports, accuracy)
    return 0 if all(reports) and all(accuracy) else 1


def _accuracy(trained, videos, arguments):
    from keras_dynamonet.exporters.accuracy import compare_accuracy
    from keras_dynamonet.training.training_data import load_evaluation_data

    manifest = load_evaluation_data(
        videos.data,
        class_names=trained.class_names,
        layout=videos.layout,
        split=arguments.split,
        video_root=videos.video_root,
    )
    with step_progress("classifying") as progress:
        found = compare_accuracy(
            trained,
            arguments.artefacts,
            manifest,
            progress=lambda name, done, total: progress(done, total),
        )
        return list(found)


def _say_problems(reports, accuracy):
    for report in reports:
        for entry in report.entries:
            for problem in entry.problems:
                say(f"{report.artefact}: {entry.output}: {problem}")
    for comparison in accuracy:
        for problem in comparison.problems:
            say(f"{comparison.artefact}: {problem}")
