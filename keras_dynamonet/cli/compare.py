"""`dynamonet compare`: artefacts beside Keras once more, e.g. on other videos."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path

from keras_dynamonet.cli.argument_types import at_least, local_path
from keras_dynamonet.cli.failures import describe_failure
from keras_dynamonet.cli.flags import add_model_argument
from keras_dynamonet.cli.output import (
    load_tensorflow,
    print_json,
    say,
    say_error,
    step_progress,
    warn_trained_on,
)
from keras_dynamonet.errors import UsageError, reason_of

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
        "with Keras on real clips. Fails if one of them does not hold or cannot be "
        "compared; the others are.",
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
        help="for --accuracy: part of DATA (default: test where there is one; without "
        "parts all videos but those that RUN was trained on)",
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
    if arguments.split and not arguments.accuracy:
        raise UsageError("--split is for --accuracy; clips are taken of all DATA.")
    load_tensorflow(verbose=arguments.verbose)
    from keras_dynamonet.cli.parity_table import print_accuracy, print_parity
    from keras_dynamonet.exporters.comparison import artefact_names
    from keras_dynamonet.exporters.job import check_folder
    from keras_dynamonet.exporters.parity_report import write_parity

    if arguments.out:
        check_folder(Path(arguments.out))
    names = artefact_names(arguments.artefacts)
    artefacts = dict(zip(names, arguments.artefacts, strict=True))
    errors = []
    sidecars = _read_sidecars(artefacts, errors)
    reports, accuracy, clips_from = {}, [], ""
    if sidecars:
        reports, accuracy, clips_from = _compare(artefacts, sidecars, arguments, errors)
    if arguments.out:
        with _collected(arguments.out, errors):
            path = write_parity(
                Path(arguments.out),
                reports.values(),
                source=clips_from,
                accuracy=accuracy,
                # One that only cannot be run here is what it was.
                gone=set(artefacts) - set(sidecars),
            )
            say(f"Written: {path}, {path.with_suffix('.md').name}")
    if arguments.json:
        parity = [entry for report in reports.values() for entry in report.to_json()]
        print_json(
            {
                "parity": parity,
                "accuracy": [comparison.to_json() for comparison in accuracy],
                "errors": errors,
            }
        )
    else:
        print_parity(list(reports.values()))
        if accuracy:
            print_accuracy(accuracy)
        _say_problems(reports.values(), accuracy)
    return 0 if not errors and all(reports.values()) and all(accuracy) else 1


def _read_sidecars(artefacts, errors):
    """The documents beside the artefacts that are there and whole, by name."""
    from keras_dynamonet.exporters.comparison import sidecar_of

    sidecars = {}
    for name, path in artefacts.items():
        with _collected(path, errors):
            sidecars[name] = sidecar_of(path)
    return sidecars


def _compare(artefacts, sidecars, arguments, errors):
    """Reports by name, accuracies, and where the clips come from."""
    from keras_dynamonet.exporters.comparison import compare_artefact, tell_other_origin
    from keras_dynamonet.exporters.source import choose_videos, make_source, open_run

    reports, accuracy = {}, []
    trained = open_run(arguments.model)
    videos = choose_videos(
        trained, arguments.data, arguments.layout, arguments.video_root
    )
    source = make_source(
        trained,
        videos,
        precisions=[sidecar["precision"] for sidecar in sidecars.values()],
        num_parity=arguments.clips,
        num_calibration=0,
    )
    for name, sidecar in sidecars.items():
        path = artefacts[name]
        with _collected(path, errors):
            reports[name] = compare_artefact(source, path, name=name)
        # Where all agrees, another file of the same weights is no news.
        if name in reports and not reports[name]:
            other = tell_other_origin(source, path, sidecar)
            if other is not None:
                say_error(other, errors)
    if arguments.accuracy and reports:
        compared = {name: artefacts[name] for name in reports}
        with _collected(videos.data, errors):
            accuracy = _accuracy(trained, videos, compared, arguments.split, errors)
    return reports, accuracy, source.clips.source


@contextlib.contextmanager
def _collected(path: str, errors: list[str]) -> Iterator[None]:
    """Tells what is wrong with one thing and goes on with the next."""
    try:
        yield
    except Exception as error:  # of one of many libraries
        _tell(path, error, errors)


def _tell(path: str | Path, error: Exception, errors: list[str]) -> None:
    line = describe_failure(error) or f"{path}: {reason_of(error)}"
    if line not in errors:  # of clips that prove nothing for any artefact
        say_error(line, errors)


def _accuracy(trained, videos, artefacts, split, errors):
    from keras_dynamonet.exporters.accuracy import compare_accuracy
    from keras_dynamonet.training.training_data import load_evaluation_data

    manifest = load_evaluation_data(
        videos.data,
        class_names=trained.class_names,
        layout=videos.layout,
        split=split,
        video_root=videos.video_root,
    )
    manifest = _held_out(trained, manifest, whole=split is not None)
    with step_progress("classifying") as progress:
        found = compare_accuracy(
            trained,
            list(artefacts.values()),
            manifest,
            names=list(artefacts),
            progress=lambda name, done, total: progress(done, total),
            on_error=lambda path, error: _tell(path, error, errors),
        )
        return list(found)


def _held_out(trained, manifest, *, whole):
    """Labelled videos that the network was not trained on, or all, if `whole`."""
    labelled = manifest.labels >= 0
    if not labelled.any():
        return manifest  # the comparison refuses it
    manifest = manifest.subset(labelled)
    seen = trained.was_trained_on([manifest.path(i) for i in range(len(manifest))])
    if seen is None or not seen.any():
        return manifest
    if whole or seen.all():
        warn_trained_on(seen.sum(), len(seen))
        return manifest
    say(f"Left out: {seen.sum()} videos that the model was trained on.")
    return manifest.subset(~seen)


def _say_problems(reports, accuracy):
    for report in reports:
        for entry in report.entries:
            for problem in entry.problems:
                say(f"{report.artefact}: {entry.output}: {problem}")
    for comparison in accuracy:
        for problem in comparison.problems:
            say(f"{comparison.artefact}: {problem}")
