"""`dynamonet export`: artefacts for other runtimes, each compared with Keras."""

import argparse
from pathlib import Path

from keras_dynamonet.cli.argument_types import at_least, local_path, names
from keras_dynamonet.cli.flags import add_model_argument
from keras_dynamonet.cli.output import (
    load_tensorflow,
    print_json,
    result_console,
    say,
)
from keras_dynamonet.errors import UsageError
from keras_dynamonet.exporters.formats import FORMATS, plan
from keras_dynamonet.trained_models import shipped_models

EXAMPLES = """\
examples:
  dynamonet export runs/first --format saved_model,onnx
  dynamonet export runs/first --serving serving --model-name actions
  dynamonet export runs/first --format onnx --precision float32,float16,int8
"""
_FILE_NAME = "model"
_MODEL_NAME = "dynamonet"
_OPTIONS = tuple(dict.fromkeys(o for entry in FORMATS.values() for o in entry.options))


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the program and its options to the command `dynamonet`."""
    parser = subparsers.add_parser(
        "export",
        help="write artefacts for other runtimes, compared with Keras",
        description="Writes a trained network for other runtimes. Each artefact is "
        "loaded in its own runtime and compared with Keras on real clips, output by "
        "output, before it gets its name; parity.json tells the figures.",
        epilog=EXAMPLES,
    )
    add_model_argument(parser)
    parser.add_argument(
        "--format",
        type=names,
        metavar="NAME,...",
        help=f"some of {', '.join(FORMATS)} (default: saved_model,onnx)",
    )
    parser.add_argument(
        "--precision",
        type=names,
        default=["float32"],
        metavar="NAME,...",
        help="; ".join(f"{e.name}: {', '.join(e.precisions)}" for e in FORMATS.values())
        + " (default: float32)",
    )
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="videos to compare on and to calibrate INT8 with: any layout that train "
        "takes, or a .npy file of clips (default: the data of RUN)",
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
        "--out",
        type=local_path,
        metavar="FOLDER",
        help="where to write (default: RUN/export; of a file NAME.keras, NAME_export "
        "beside it; of a model of the package, NAME_export here)",
    )
    parser.add_argument(
        "--name", help=f"base of the file names (default: {_FILE_NAME})"
    )
    parser.add_argument(
        "--outputs",
        type=names,
        metavar="NAME,...",
        help="outputs of the artefacts (default: probabilities, logits, embedding, "
        "motion_filters, next_frame)",
    )
    parser.add_argument(
        "--clips",
        type=at_least(1),
        metavar="N",
        help="clips to compare on (default: 64 for float32 alone, else 256)",
    )
    parser.add_argument(
        "--calibration-clips",
        type=at_least(1),
        metavar="N",
        help="clips to calibrate INT8 with (default: 128)",
    )
    parser.add_argument(
        "--opset", type=int, choices=(17, 18), help="onnx: operator set (default: 17)"
    )
    parser.add_argument(
        "--batch",
        type=at_least(1),
        metavar="N",
        help="tflite: clips in a batch (default: any number)",
    )
    _add_engine_options(parser.add_argument_group("tensorrt"))
    parser.add_argument(
        "--serving",
        type=local_path,
        metavar="DIR",
        help="write a SavedModel as a new version into a folder with all files that "
        "TensorFlow Serving needs; without --format nothing else is written",
    )
    parser.add_argument(
        "--model-name",
        metavar="NAME",
        help=f"serving: name of the model in requests (default: {_MODEL_NAME})",
    )
    parser.add_argument(
        "--model-version",
        type=at_least(1),
        metavar="N",
        help="serving: version of the model (default: one more than the last in DIR)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace artefacts that exist; one whose successor fails is removed",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the results as JSON on stdout"
    )
    parser.set_defaults(run=run)


def _add_engine_options(group) -> None:
    """Options of `EngineSettings`, whose defaults hold when one is not given."""
    for name, text, default in (
        ("min", "fewest clips in a batch", 1),
        ("opt", "clips in a batch for which it should be fastest", 1),
        ("max", "most clips in a batch", 8),
    ):
        group.add_argument(
            f"--{name}-batch",
            type=at_least(1),
            metavar="N",
            help=f"{text} (default: {default})",
        )
    group.add_argument(
        "--workspace-mib",
        type=at_least(1),
        metavar="N",
        help="most scratch memory on the GPU in MiB (default: 4096)",
    )
    group.add_argument(
        "--compute-capabilities",
        type=names,
        metavar="X.Y,...",
        help="GPUs to build for, e.g. 8.6,8.9; only TensorRT-RTX builds for others "
        "than the one at hand (default: that one)",
    )
    group.add_argument(
        "--flavour",
        choices=("auto", "tensorrt", "tensorrt_rtx"),
        help="which TensorRT (default: the first installed)",
    )
    group.add_argument(
        "--timing-cache",
        type=local_path,
        metavar="FILE",
        help="keeps the timings of kernels between builds; only for flavour tensorrt",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exports, compares, reports."""
    options = {
        name: getattr(arguments, name)
        for name in _OPTIONS
        if getattr(arguments, name) is not None
    }
    jobs = _plan(arguments, tuple(options))
    load_tensorflow(verbose=arguments.verbose)
    from keras_dynamonet.exporters.job import JobResult, check_jobs, run_jobs
    from keras_dynamonet.exporters.signature import check_outputs
    from keras_dynamonet.training.trained_model import model_file

    if arguments.outputs is not None:
        check_outputs(arguments.outputs)
    file = model_file(arguments.model)
    folder = _default_folder(Path(arguments.model), file)
    folder = Path(arguments.out) if arguments.out else folder
    name = _FILE_NAME if arguments.name is None else arguments.name
    shared = {"options": options, "overwrite": arguments.overwrite}
    if jobs:
        check_jobs(jobs, folder, name, **shared)
    if arguments.serving:
        _check_serving(arguments)
    source = _open_source(arguments, name, [precision for _, precision in jobs])
    done = JobResult((), (), ())
    if jobs:
        done = run_jobs(
            source,
            jobs,
            folder,
            progress=lambda name: say(f"Exporting {folder / name}"),
            **shared,
        )
    if arguments.serving:
        done += _serve(source, arguments)
    if arguments.json:
        print_json(_document(done))
    else:
        _show(done)
    return 1 if done.errors else 0


def _plan(arguments, options):
    """The artefacts to make; none if only TensorFlow Serving is asked for.

    Raises:
        UsageError: If the arguments contradict each other.
    """
    if not arguments.serving:
        for name in ("model_name", "model_version"):
            if getattr(arguments, name) is not None:
                flag = name.replace("_", "-")
                raise UsageError(f"--{flag} is for --serving alone.")
    formats = arguments.format
    if formats is None:
        # A served model is a SavedModel: the same precisions and options.
        formats = ["saved_model"] if arguments.serving else ["saved_model", "onnx"]
    jobs = plan(formats, arguments.precision, options)
    if arguments.serving and arguments.format is None:
        if arguments.out:
            raise UsageError("--out is for --format: --serving names its own folder.")
        if arguments.name is not None:
            raise UsageError(
                "--name is for --format: --model-name names what --serving writes."
            )
        jobs = []
    precisions = [precision for _, precision in jobs]
    if arguments.calibration_clips and "int8" not in precisions:
        raise UsageError("--calibration-clips is for --precision int8 alone.")
    return jobs


def _check_serving(arguments):
    from keras_dynamonet.exporters.job import check_folder
    from keras_dynamonet.exporters.serving import check_version, require_serving

    target = _version_path(arguments)
    require_serving()
    check_version(target, overwrite=arguments.overwrite)
    check_folder(Path(arguments.serving), "--serving")


def _serve(source, arguments):
    from keras_dynamonet.exporters.job import run_job
    from keras_dynamonet.exporters.serving import export_serving

    say(f"Exporting for TensorFlow Serving to {arguments.serving}")
    target = _version_path(arguments)

    def export(on_report):
        return export_serving(
            source,
            arguments.serving,
            name=target.parent.name,
            version=int(target.name),
            overwrite=arguments.overwrite,
            on_report=on_report,
        )

    return run_job(
        export, Path(arguments.serving), target, clips_from=source.clips.source
    )


def _version_path(arguments):
    from keras_dynamonet.exporters.serving import version_path

    name = _MODEL_NAME if arguments.model_name is None else arguments.model_name
    return version_path(Path(arguments.serving), name, arguments.model_version)


def _open_source(arguments, name, precisions):
    from keras_dynamonet.exporters.source import choose_videos, make_source, open_run

    trained = open_run(arguments.model)
    return make_source(
        trained,
        choose_videos(trained, arguments.data, arguments.layout, arguments.video_root),
        outputs=arguments.outputs,
        name=name,
        precisions=precisions,
        num_parity=arguments.clips,
        num_calibration=arguments.calibration_clips,
    )


def _default_folder(path: Path, file: Path) -> Path:
    if file in shipped_models().values():
        return Path(f"{file.stem}_export")
    if path.suffix == ".keras":
        return path.with_name(f"{path.stem}_export")
    return path / "export"


def _document(done) -> dict:
    return {
        "artefacts": [
            {
                "path": str(result.path),
                "sidecar": str(result.sidecar),
                "bytes": result.size_bytes,
                "seconds": round(result.seconds, 1),
            }
            for result in done.results
        ],
        "parity": [entry for report in done.reports for entry in report.to_json()],
        "errors": list(done.errors),
    }


def _show(done) -> None:
    from keras_dynamonet.cli.parity_table import print_parity
    from keras_dynamonet.exporters.parity_report import NOT_RUN, has_run

    print_parity(done.reports)
    console = result_console()
    for result in done.results:
        size = f"{result.size_bytes / 1e6:.1f} MB, {result.seconds:.0f} s"
        itself = has_run(result.parity.runtime)
        note = "" if itself else f", {NOT_RUN}: its ONNX model was compared"
        console.print(f"{result.path}  {size}{note}", markup=False)
