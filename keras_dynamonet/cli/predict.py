"""`dynamonet predict`: actions in videos, in long videos, and in streams of frames."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dynamonet.cli.output import (
    load_tensorflow,
    print_json,
    say,
    step_progress,
)
from keras_dynamonet.cli.prediction_output import (
    classes_json,
    format_clock,
    show_timelines,
    show_videos,
    span_json,
    timelines_json,
    write_timelines_csv,
)
from keras_dynamonet.errors import UserError

if TYPE_CHECKING:
    from keras_dynamonet.training.trained_model import TrainedModel

EXAMPLES = """\
examples:
  dynamonet predict runs/first walk.mp4 run.mp4
  dynamonet predict runs/first match.mp4 --timeline --csv match.csv
  dynamonet predict runs/first match.mp4 --annotate annotated.mp4
  ffmpeg -i camera -f rawvideo -pix_fmt rgb24 - |
    dynamonet predict runs/first --stdin 640x480@25
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the program and its options to the command `dynamonet`."""
    parser = subparsers.add_parser(
        "predict",
        help="name the actions in videos",
        description="Names the actions in videos, moment by moment if asked to.",
        epilog=EXAMPLES,
    )
    parser.add_argument("model", metavar="RUN", help="folder of a run, or .keras file")
    parser.add_argument("videos", metavar="VIDEO", nargs="*", help="videos, or folders")
    parser.add_argument(
        "--top", type=int, default=5, help="classes to list (default: 5)"
    )
    parser.add_argument(
        "--clips", type=int, default=1, help="clips spread over a video (default: 1)"
    )
    parser.add_argument(
        "--crops", type=int, default=1, help="squares over its long side (default: 1)"
    )
    parser.add_argument(
        "--timeline", action="store_true", help="predict moment by moment"
    )
    parser.add_argument(
        "--hop",
        type=float,
        metavar="SECONDS",
        help="from one moment to the next (default: half a clip)",
    )
    parser.add_argument(
        "--csv", metavar="FILE", help="write every moment's probabilities"
    )
    parser.add_argument(
        "--annotate", metavar="OUT.mp4", help="write the video with its actions drawn"
    )
    parser.add_argument(
        "--stdin",
        metavar="WIDTHxHEIGHT@FPS",
        help="read raw RGB frames (rgb24) from standard input; a line for each moment",
    )
    parser.add_argument(
        "--fps", type=float, help="frames a second of clips (default: as in training)"
    )
    parser.add_argument(
        "--stride", type=int, help="take every so many frames of the video instead"
    )
    parser.add_argument(
        "--batch-size", type=int, default=16, help="clips at a time (default: 16)"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print JSON; with --stdin, one document a line",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predicts in one of three ways: whole videos, timelines, or a stream."""
    _check(arguments)
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
    """Refuses combinations that make no sense."""
    if bool(arguments.videos) == bool(arguments.stdin):
        raise UserError("name at least one VIDEO, or use --stdin, not both.")
    for name in ("top", "clips", "crops", "batch_size", "stride"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            flag = name.replace("_", "-")
            raise UserError(f"--{flag} must be at least 1. Received: {value}.")
    for name in ("hop", "fps"):
        value = getattr(arguments, name)
        if value is not None and not value > 0:
            raise UserError(f"--{name} must be positive. Received: {value}.")
    if arguments.annotate and len(arguments.videos) != 1:
        raise UserError("--annotate takes a single VIDEO.")
    moments = arguments.timeline or arguments.csv or arguments.annotate
    if (moments or arguments.stdin) and max(arguments.clips, arguments.crops) > 1:
        raise UserError("--clips and --crops judge whole videos; use --hop instead.")
    if arguments.stdin and moments:
        raise UserError("--stdin prints as it reads; save its --json lines instead.")


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
            batch_size=arguments.batch_size,
            progress=progress,
        )
    documents = []
    for prediction in predictions:
        document = {"path": prediction.path}
        if prediction.error is None:
            best = top_classes(prediction.probabilities, names, arguments.top)
            document["top"] = classes_json(best)
        else:
            document["error"] = prediction.error
        documents.append(document)
    if arguments.json:
        print_json({"protocol": str(protocol), "videos": documents})
    else:
        show_videos(documents)
    failed = sum("error" in document for document in documents)
    if failed:
        say(f"dynamonet: error: {failed} of {len(documents)} videos were not read.")
    return 1 if failed else 0


def _predict_timelines(arguments, trained: "TrainedModel", names: list[str]) -> int:
    from keras_dynamonet.training.annotation import annotate_video
    from keras_dynamonet.training.prediction import video_timeline

    paths = _expand(arguments.videos)
    timelines = {}
    with step_progress("predicting") as progress:
        for number, path in enumerate(paths):
            moments = video_timeline(
                trained,
                path,
                hop_seconds=arguments.hop,
                batch_size=arguments.batch_size,
            )
            timelines[path] = list(moments)
            progress(number + 1, len(paths))
    if arguments.csv:
        write_timelines_csv(arguments.csv, timelines, names)
        say(f"Written: {arguments.csv}")
    if arguments.annotate:
        annotate_video(paths[0], arguments.annotate, timelines[paths[0]], names)
        say(f"Written: {arguments.annotate}")
    if arguments.json:
        print_json(timelines_json(timelines, names))
    else:
        show_timelines(timelines, names)
    return 0


def _predict_stream(
    arguments,
    trained: "TrainedModel",
    names: list[str],
    stream_format: tuple[int, int, float],
) -> int:
    from keras_dynamonet.cli.raw_stream import read_raw_frames
    from keras_dynamonet.training.prediction import frames_timeline
    from keras_dynamonet.training.probabilities import top_classes

    frames = read_raw_frames(sys.stdin.buffer, *stream_format)
    for moment in frames_timeline(trained, frames, hop_seconds=arguments.hop):
        best = top_classes(moment.probabilities, names, arguments.top)
        if arguments.json:
            print(json.dumps({**span_json(moment), "top": classes_json(best)}))
        else:
            shown = "  ".join(f"{name} {100 * share:.0f} %" for name, share in best)
            span = (moment.start_seconds, moment.end_seconds)
            print("{} to {}".format(*map(format_clock, span)), shown, sep="  ")
        sys.stdout.flush()
    return 0


def _expand(names: list[str]) -> list[str]:
    """Folders replaced by the videos in them."""
    from keras_dynamonet.data.manifest import load_manifest

    paths = []
    for name in names:
        if Path(name).is_dir():
            manifest = load_manifest(name, labelled=False)
            paths.extend(manifest.path(i) for i in range(len(manifest)))
        elif Path(name).exists():
            paths.append(name)
        else:
            raise UserError(f"{name}: no such file.")
    return paths
