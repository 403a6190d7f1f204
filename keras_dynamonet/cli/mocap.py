"""`dynamonet mocap`: renders the motion-capture benchmark to video files."""

import argparse
import json
import time

from keras_dynamonet.cli.argument_types import at_least, local_path, positive
from keras_dynamonet.cli.output import print_json, say, step_progress
from keras_dynamonet.data.mocap.benchmark import (
    DEFAULT_CLIPS_PER_CLASS,
    DESCRIPTION_FILE,
    render_benchmark,
)
from keras_dynamonet.data.mocap.camera import CAMERA_STYLES, MIXED
from keras_dynamonet.data.mocap.classes import TRACKS

DESCRIPTION = """\
Renders labelled action videos from recorded human motions: people of many builds and
clothes, seen from many sides, before real backdrops. The recordings and backdrops are
fetched once with pip. An interrupted rendering goes on when called again.
"""
EXAMPLE = """\
example:
  dynamonet mocap mocap --classes walk walk_reversed run run_reversed
  dynamonet train mocap
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the program and its options to the command `dynamonet`."""
    parser = subparsers.add_parser(
        "mocap",
        help="render the motion-capture benchmark to mp4 files",
        description=DESCRIPTION,
        epilog=EXAMPLE,
    )
    parser.add_argument(
        "out",
        type=local_path,
        metavar="OUT",
        help="a new folder, or one to complete",
    )
    parser.add_argument(
        "--track",
        choices=tuple(TRACKS),
        default="time",
        help="native: 15 motions; time: 10 motions forwards and backwards, which only "
        "the order of the frames tells apart; all: 25 classes (default: time)",
    )
    parser.add_argument(
        "--classes", nargs="+", metavar="CLASS", help="some classes of the track"
    )
    for split, count in DEFAULT_CLIPS_PER_CLASS.items():
        parser.add_argument(
            f"--{split}",
            type=at_least(0),
            default=count,
            metavar="CLIPS",
            help=f"clips a class for the {split} split (default: {count})",
        )
    parser.add_argument(
        "--size",
        type=at_least(16),
        default=64,
        metavar="PX",
        help="side in pixels, even (default: 64)",
    )
    parser.add_argument(
        "--frames",
        type=at_least(2),
        default=20,
        metavar="N",
        help="frames in a clip (default: 20)",
    )
    parser.add_argument(
        "--fps",
        type=positive,
        default=12.0,
        metavar="X",
        help="frames a second (default: 12)",
    )
    parser.add_argument(
        "--camera",
        choices=(*CAMERA_STYLES, MIXED),
        default="still",
        help="how the camera moves; mixed draws one per clip (default: still)",
    )
    parser.add_argument(
        "--seed",
        type=at_least(0),
        default=0,
        metavar="N",
        help="seed of every draw (default: 0)",
    )
    parser.add_argument(
        "--processes",
        type=at_least(1),
        metavar="N",
        help="rendering processes (default: all processors)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print a summary as JSON on stdout"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Renders, with a progress bar on stderr."""
    started = time.monotonic()
    with step_progress("rendering clips") as progress:
        folder = render_benchmark(
            args.out,
            track=args.track,
            classes=args.classes,
            clips_per_class={
                split: getattr(args, split) for split in DEFAULT_CLIPS_PER_CLASS
            },
            size=args.size,
            num_frames=args.frames,
            fps=args.fps,
            camera=args.camera,
            seed=args.seed,
            processes=args.processes,
            progress=progress,
        )
    document = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
    summary = {
        "folder": str(folder),
        "classes": document["classes"],
        "clips": len(document["clips"]),
        "fingerprint": document["fingerprint"],
        "seconds": round(time.monotonic() - started, 1),
    }
    if args.json:
        print_json(summary)
    else:
        say(
            f"{summary['clips']} clips of {len(summary['classes'])} classes in "
            f"{folder} ({summary['seconds']} s, "
            f"fingerprint {summary['fingerprint'][:12]})"
        )
    return 0
