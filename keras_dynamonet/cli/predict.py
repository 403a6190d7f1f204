"""`dynamonet predict`: actions in videos, in long videos, and in streams of frames."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dynamonet.cli.argument_types import at_least, local_path, positive
from keras_dynamonet.cli.bulk_flags import (
    add_bulk_flags,
    given_bulk_flags,
    run_bulk_program,
)
from keras_dynamonet.cli.flags import add_model_argument
from keras_dynamonet.cli.output import (
    fail,
    load_tensorflow,
    print_json,
    say,
    step_progress,
)
from keras_dynamonet.cli.prediction_output import (
    Timeline,
    classes_json,
    format_clock,
    show_timelines,
    show_videos,
    span_json,
    timelines_json,
    write_timelines_csv,
)
from keras_dynamonet.errors import UsageError, UserError
from keras_dynamonet.trained_models import shipped_models

if TYPE_CHECKING:
    from keras_dynamonet.training.trained_model import TrainedModel

EXAMPLES = """\
examples:
  dynamonet predict --preset mocap25-nano walk.mp4
  dynamonet predict runs/first walk.mp4 run.mp4
  dynamonet predict runs/first list.csv --out actions --engine ray
  dynamonet predict runs/first match.mp4 --timeline --csv match.csv
  dynamonet predict runs/first match.mp4 --annotate annotated.mp4
  ffmpeg -i camera -f rawvideo -pix_fmt rgb24 - |
    dynamonet predict runs/first --stdin 640x480@25
"""
# Containers that hold H.264, which --annotate writes.
ANNOTATED_SUFFIXES = (".mp4", ".mkv", ".mov")
DEFAULT_TOP, ANNOTATED_TOP, DEFAULT_BATCH_SIZE = 5, 3, 16


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the program and its options to the command `dynamonet`."""
    parser = subparsers.add_parser(
        "predict",
        help="name the actions in videos",
        description="Names the actions in videos, moment by moment if asked to.",
        epilog=EXAMPLES,
    )
    add_model_argument(parser, nargs="?")
    parser.add_argument("videos", metavar="VIDEO", nargs="*", help="videos, or folders")
    parser.add_argument(
        "--preset",
        choices=shipped_models(),
        help="use a model that comes with the package, in place of RUN",
    )
    parser.add_argument(
        "--top",
        type=at_least(1),
        metavar="N",
        help=f"classes to list (default: {DEFAULT_TOP}, with --annotate "
        f"{ANNOTATED_TOP})",
    )
    parser.add_argument(
        "--clips",
        type=at_least(1),
        default=1,
        metavar="N",
        help="clips spread over a video (default: 1)",
    )
    parser.add_argument(
        "--crops",
        type=at_least(1),
        default=1,
        metavar="N",
        help="squares over its long side (default: 1)",
    )
    parser.add_argument(
        "--timeline", action="store_true", help="predict moment by moment"
    )
    parser.add_argument(
        "--hop",
        type=positive,
        metavar="SECONDS",
        help="from one moment to the next (default: half a clip)",
    )
    parser.add_argument(
        "--csv",
        type=local_path,
        metavar="FILE",
        help="write every moment's probabilities",
    )
    parser.add_argument(
        "--annotate",
        type=local_path,
        metavar="OUT.mp4",
        help="write the video with its actions drawn",
    )
    parser.add_argument(
        "--stdin",
        metavar="WIDTHxHEIGHT@FPS",
        help="read raw RGB frames (rgb24) from standard input; a line for each moment",
    )
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        "--fps",
        type=positive,
        metavar="X",
        help="frames a second of clips (default: as in training)",
    )
    pace.add_argument(
        "--stride",
        type=at_least(1),
        metavar="N",
        help="take every so many frames of the video instead",
    )
    parser.add_argument(
        "--batch-size",
        type=at_least(1),
        metavar="N",
        help=f"clips at a time (default: {DEFAULT_BATCH_SIZE})",
    )
    bulk = parser.add_argument_group(
        "any number of videos", "VIDEO is a folder or list in any layout"
    )
    bulk.add_argument(
        "--out",
        type=local_path,
        metavar="DIR",
        help="write Parquet files there, one row a video",
    )
    add_bulk_flags(bulk)
    parser.add_argument(
        "--json",
        action="store_true",
        help="print JSON; with --stdin, one document a line",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predicts whole videos, few or many, or timelines, or a stream."""
    if arguments.preset:
        # Then the first of them is a video, too.
        arguments.videos[:0] = [arguments.model] if arguments.model else []
        arguments.model = str(shipped_models()[arguments.preset])
    _check(arguments)
    if arguments.out:
        return run_bulk_program(arguments, arguments.videos[0], vectors=False)
    if arguments.stdin:
        from keras_dynamonet.cli.raw_stream import parse_stream_format

        stream_format = parse_stream_format(arguments.stdin)
    load_tensorflow(verbose=arguments.verbose)
    from keras_dynamonet.training.trained_model import load_trained_model

    trained = load_trained_model(
        arguments.model, fps=arguments.fps, stride=arguments.stride
    )
    names = trained.class_names
    if arguments.stdin:
        return _predict_stream(arguments, trained, names, stream_format)
    if arguments.timeline or arguments.csv or arguments.annotate:
        return _predict_timelines(arguments, trained, names)
    return _predict_videos(arguments, trained, names)


def _check(arguments: argparse.Namespace) -> None:
    """Refuses combinations that make no sense, and outputs that would cost an input."""
    if not arguments.model:
        raise UsageError("name a RUN or a --preset.")
    if arguments.videos and arguments.stdin:
        raise UsageError("--stdin takes the place of VIDEO: use one of them.")
    if not (arguments.videos or arguments.stdin):
        raise UsageError("name at least one VIDEO, or send frames with --stdin.")
    moments = arguments.timeline or arguments.csv or arguments.annotate
    if (moments or arguments.stdin) and max(arguments.clips, arguments.crops) > 1:
        raise UsageError("--clips and --crops judge whole videos; use --hop instead.")
    if arguments.out and (arguments.stdin or moments or len(arguments.videos) != 1):
        raise UsageError(
            "--out takes one folder or list of videos, without timelines or streams."
        )
    bulk = given_bulk_flags(arguments)
    if bulk and not arguments.out:
        raise UsageError(f"{', '.join(bulk)}: only with --out DIR.")
    if arguments.stdin and moments:
        raise UsageError("--stdin prints as it reads; save its --json lines instead.")
    if arguments.stdin and arguments.batch_size:
        raise UsageError("--stdin predicts each moment at once, without --batch-size.")
    if arguments.hop and not (moments or arguments.stdin):
        raise UsageError("--hop is for moments: add --timeline.")
    if arguments.top and moments and not arguments.annotate:
        raise UsageError("--top does not go with a timeline; --csv has all classes.")
    if arguments.annotate:
        if len(arguments.videos) != 1 or Path(arguments.videos[0]).is_dir():
            raise UsageError("--annotate takes a single VIDEO.")
        if Path(arguments.annotate).suffix.lower() not in ANNOTATED_SUFFIXES:
            raise UsageError(
                f"--annotate {arguments.annotate}: must end in "
                f"{', '.join(ANNOTATED_SUFFIXES)}."
            )
    sources = {_file_of(video).resolve() for video in arguments.videos}
    for flag, output in (("csv", arguments.csv), ("annotate", arguments.annotate)):
        if output and Path(output).resolve() in sources:
            raise UsageError(f"--{flag} {output}: would replace the video itself.")


def _file_of(video: str) -> Path:
    """The file that holds a video, which for a packed one is its shard."""
    from keras_dynamonet.data.shards import PackedAddress

    packed = PackedAddress.parse(video)
    return Path(packed.shard if packed else video)


def _predict_videos(arguments, trained: "TrainedModel", names: list[str]) -> int:
    from keras_dynamonet.training.evaluation import Protocol
    from keras_dynamonet.training.prediction import predict_videos
    from keras_dynamonet.training.probabilities import top_classes

    paths = _expand(arguments.videos)
    protocol = Protocol(arguments.clips, arguments.crops)
    with step_progress("predicting") as progress:
        predictions = predict_videos(
            trained,
            paths,
            protocol=protocol,
            batch_size=arguments.batch_size or DEFAULT_BATCH_SIZE,
            progress=progress,
        )
    documents, top = [], arguments.top or DEFAULT_TOP
    for prediction in predictions:
        document = {"path": prediction.path}
        if prediction.error is None:
            best = top_classes(prediction.probabilities, names, top)
            document["top"] = classes_json(best)
        else:
            document["error"] = prediction.error
        documents.append(document)
    if arguments.json:
        print_json({"protocol": str(protocol), "videos": documents})
    else:
        show_videos(documents)
    return _status(sum("error" in document for document in documents), paths)


def _predict_timelines(arguments, trained: "TrainedModel", names: list[str]) -> int:
    from keras_dynamonet.training.annotation import annotate_video

    paths = _expand(arguments.videos)
    timelines = [
        _read_timeline(arguments, trained, path, f"video {number} of {len(paths)}")
        for number, path in enumerate(paths, start=1)
    ]
    if arguments.json:
        print_json(timelines_json(timelines, names))
    else:
        show_timelines(timelines, names)
    if arguments.csv:
        write_timelines_csv(arguments.csv, timelines, names)
        say(f"Written: {arguments.csv}")
    if arguments.annotate and timelines[0].error is None:
        with step_progress("annotating, seconds") as progress:
            annotate_video(
                paths[0],
                arguments.annotate,
                timelines[0].moments,
                names,
                top=arguments.top or ANNOTATED_TOP,
                progress=progress,
            )
        say(f"Written: {arguments.annotate}")
    return _status(sum(timeline.error is not None for timeline in timelines), paths)


def _read_timeline(
    arguments, trained: "TrainedModel", path: str, name: str
) -> Timeline:
    """The moments of a video, up to where it cannot be read."""
    from keras_dynamonet.data.video_file import VideoError
    from keras_dynamonet.data.video_opening import open_video_reader
    from keras_dynamonet.training.prediction import video_timeline

    moments = []
    try:
        with open_video_reader(path) as video:
            seconds = video.duration_seconds
        with step_progress(f"{name}, seconds") as progress:
            for moment in video_timeline(
                trained,
                path,
                hop_seconds=arguments.hop,
                batch_size=arguments.batch_size or DEFAULT_BATCH_SIZE,
            ):
                moments.append(moment)
                progress(min(moment.end_seconds, seconds), seconds)
    except VideoError as error:
        return Timeline(path, moments, error.reason)
    return Timeline(path, moments)


def _predict_stream(
    arguments,
    trained: "TrainedModel",
    names: list[str],
    stream_format: tuple[int, int, float],
) -> int:
    from keras_dynamonet.cli.raw_stream import read_raw_frames
    from keras_dynamonet.training.prediction import frames_timeline
    from keras_dynamonet.training.probabilities import top_classes

    top = arguments.top or DEFAULT_TOP
    frames = read_raw_frames(sys.stdin.buffer, *stream_format)
    for moment in frames_timeline(trained, frames, hop_seconds=arguments.hop):
        best = top_classes(moment.probabilities, names, top)
        if arguments.json:
            document = {**span_json(moment), "top": classes_json(best)}
            print_json(document, indent=None)
        else:
            shown = "  ".join(f"{name} {100 * share:.0f} %" for name, share in best)
            span = (moment.start_seconds, moment.end_seconds)
            clocks = "{} to {}".format(*map(format_clock, span))
            print(clocks, shown, sep="  ", flush=True)
    return 0


def _status(failed: int, paths: list[str]) -> int:
    """The exit status; says how many videos failed."""
    if not failed:
        return 0
    return fail(f"{failed} of {len(paths)} videos were not read to their end.")


def _expand(names: list[str]) -> list[str]:
    """Folders replaced by the videos in them."""
    from keras_dynamonet.data.manifest import load_manifest
    from keras_dynamonet.data.places import is_remote
    from keras_dynamonet.data.shards import PackedAddress

    paths = []
    for name in names:
        if Path(name).is_dir():
            manifest = load_manifest(name, labelled=False)
            paths.extend(manifest.path(i) for i in range(len(manifest)))
        elif Path(name).exists() or is_remote(name) or PackedAddress.parse(name):
            paths.append(name)
        else:
            raise UserError(f"{name}: no such file.")
    return paths
