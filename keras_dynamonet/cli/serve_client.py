"""`dynamonet serve-client`: classifies videos with a running TensorFlow Serving."""

import argparse
from pathlib import Path

from keras_dynamonet.cli.argument_types import at_least, positive
from keras_dynamonet.cli.failures import describe_failure
from keras_dynamonet.cli.output import (
    load_tensorflow,
    make_table,
    print_json,
    result_console,
    say_error,
)
from keras_dynamonet.errors import UserError, reason_of

EXAMPLES = """\
examples:
  dynamonet serve-client serving/models/actions/1.json videos/walk/a.mp4
  dynamonet serve-client actions.json a.mp4 --rest localhost:8501 --model actions
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the program and its options to the command `dynamonet`."""
    parser = subparsers.add_parser(
        "serve-client",
        help="classify videos with a running TensorFlow Serving",
        description="Cuts clips out of videos as the sidecar of a served model says, "
        "sends them to TensorFlow Serving, and shows the likeliest actions. Fails if a "
        "video cannot be classified; the others are.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "sidecar", metavar="SIDECAR", help="JSON file beside the served SavedModel"
    )
    parser.add_argument("videos", metavar="VIDEO", nargs="+", help="video files")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--grpc",
        metavar="HOST:PORT",
        help="server to ask over gRPC, as raw pixels (default: localhost:8500)",
    )
    where.add_argument(
        "--rest", metavar="HOST:PORT", help="server to ask over HTTP, as JPEG frames"
    )
    parser.add_argument(
        "--model", metavar="NAME", help="default: the folder of the sidecar"
    )
    parser.add_argument(
        "--model-version",
        type=at_least(1),
        metavar="N",
        help="default: the sidecar's name, where that is a number, else the newest",
    )
    parser.add_argument(
        "--clips",
        type=at_least(1),
        default=1,
        metavar="N",
        help="clips spread over a video (default: 1)",
    )
    parser.add_argument(
        "--top",
        type=at_least(1),
        default=5,
        metavar="N",
        help="actions to show (default: 5)",
    )
    parser.add_argument(
        "--timeout",
        type=positive,
        default=60.0,
        metavar="SECONDS",
        help="seconds to wait (default: 60)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Asks the server about each video."""
    # Before TensorFlow, which takes seconds to load.
    from keras_dynamonet.exporters.sidecar import CLIP_KEYS, read_sidecar

    sidecar = read_sidecar(arguments.sidecar, format="saved_model", needs=CLIP_KEYS)
    load_tensorflow(verbose=arguments.verbose)
    from keras_dynamonet.exporters.calibration import read_video_clips
    from keras_dynamonet.exporters.serving_client import (
        GrpcClient,
        RestClient,
        UnreachableError,
    )

    model = arguments.model or Path(arguments.sidecar).resolve().parent.name
    options = {
        "version": arguments.model_version or _version_of(arguments.sidecar),
        "timeout_seconds": arguments.timeout,
    }
    if arguments.rest is not None:
        client = RestClient(arguments.rest, model, **options)
    else:
        address = "localhost:8500" if arguments.grpc is None else arguments.grpc
        client = GrpcClient(address, model, **options)
    found, errors = [], []
    with client:
        for video in arguments.videos:
            try:
                clips = read_video_clips(video, _spec(sidecar), arguments.clips)
                answers = _ask(client, clips, as_jpeg=arguments.rest is not None)
                found.append(_best(video, answers, sidecar, arguments.top))
            except UnreachableError as error:
                say_error(str(error), errors)
                break
            except Exception as error:  # of one of many libraries
                line = describe_failure(error) or reason_of(error)
                named = "" if line.startswith(video) else f"{video}: "
                say_error(f"{named}{line}", errors)
    if arguments.json:
        print_json({"videos": found, "errors": errors})
    elif found:
        _show(found)
    return 1 if errors else 0


def _version_of(sidecar):
    """The version that a sidecar describes: classes of another may differ."""
    name = Path(sidecar).stem
    return int(name) if name.isdecimal() and int(name) else None


def _ask(client, clips, *, as_jpeg):
    """Answers to the clips, as many at a time as the server takes."""
    from keras_dynamonet.exporters.saved_model import encode_jpeg
    from keras_dynamonet.exporters.serving import MAX_BATCH_SIZE

    answers = []
    for start in range(0, len(clips), MAX_BATCH_SIZE):
        part = clips[start : start + MAX_BATCH_SIZE]
        if as_jpeg:
            frames = encode_jpeg(part)
            answers.append(client.predict({"frames": frames}, "classify_bytes"))
        else:
            answers.append(client.predict({"clip": part}))
    return answers


def _spec(sidecar):
    from keras_dynamonet.data.clip_sampling import ClipSpec

    return ClipSpec(
        num_frames=sidecar["clip_frames"],
        size=sidecar["frame_size"][0],
        fps=sidecar["fps"],
        stride=sidecar["frame_stride"],
        short_videos=sidecar.get("short_videos", "loop"),
    )


def _best(video, answers, sidecar, top) -> dict:
    if "probabilities" not in answers[0]:
        raise UserError(
            "The served model gives no probabilities. Export it with "
            "--outputs probabilities, or use --rest."
        )
    clips = [row for answer in answers for row in answer["probabilities"]]
    probabilities = sum(clips) / len(clips)
    names = sidecar["class_names"] or [str(k) for k in range(len(probabilities))]
    if len(names) != len(probabilities):
        raise UserError(
            f"The served model has {len(probabilities)} classes, the sidecar names "
            f"{len(names)}. Take the sidecar of the version that is served."
        )
    order = probabilities.argsort()[::-1][:top]
    actions = [
        {"action": names[k], "probability": float(probabilities[k])} for k in order
    ]
    return {"video": str(video), "actions": actions}


def _show(found) -> None:
    table = make_table("video", "action", "probability", numbers=("probability",))
    for result in found:
        for place, row in enumerate(result["actions"]):
            video = "" if place else result["video"]
            table.add_row(video, row["action"], f"{row['probability']:.1%}")
    result_console().print(table)
