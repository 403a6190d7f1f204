"""`dynamonet pack`: videos to shards of JPEG frames that are fast to read."""

import argparse
import functools
import time

from keras_dynamonet.cli.argument_types import at_least, local_path, positive, share
from keras_dynamonet.cli.output import (
    load_tensorflow,
    print_json,
    result_console,
    say,
    step_progress,
)

EXAMPLES = """\
examples:
  dynamonet pack videos/ packed/ --fps 12 --short-side 128
  dynamonet train packed/ --run runs/first
  dynamonet scan packed/

Decoding is done once, here: training on OUT seeks to single pictures. A command that
was stopped goes on where it was when it is given again. Videos that cannot be read are
left out and listed.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the program and its options to the command `dynamonet`."""
    parser = subparsers.add_parser(
        "pack",
        help="pack videos into shards that are read many times faster",
        description="Writes a data set as TFRecord shards of JPEG frames; OUT stands "
        "wherever DATA may.",
        epilog=EXAMPLES,
    )
    parser.add_argument("data", metavar="DATA", help="folder or list of videos")
    parser.add_argument("out", type=local_path, metavar="OUT", help="folder to write")
    parser.add_argument(
        "--layout", default="auto", help="how DATA is laid out (default: recognised)"
    )
    parser.add_argument(
        "--video-root",
        metavar="FOLDER",
        help="where the paths in a list start (default: looked for)",
    )
    parser.add_argument(
        "--fps", type=positive, help="frames a second to keep (default: every frame)"
    )
    parser.add_argument(
        "--short-side",
        type=at_least(1),
        default=256,
        metavar="PIXELS",
        help="scale larger pictures down to this (default: 256)",
    )
    parser.add_argument(
        "--quality",
        type=at_least(1),
        default=90,
        help="of the JPEG pictures (default: 90)",
    )
    parser.add_argument(
        "--videos-per-shard",
        type=at_least(1),
        default=256,
        metavar="N",
        help="videos in a file (default: 256)",
    )
    parser.add_argument(
        "--workers",
        type=at_least(1),
        metavar="N",
        help="processes (default: number of processors)",
    )
    parser.add_argument(
        "--max-bad-share",
        type=share,
        default=0.1,
        metavar="SHARE",
        help="stop when more of the videos, and more than one, cannot be read "
        "(default: 0.1)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace another packing in OUT"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Packs, with a progress bar on stderr."""
    from keras_dynamonet.data.layouts import LAYOUTS, read_listing
    from keras_dynamonet.data.packing import pack_videos
    from keras_dynamonet.data.shard_writing import PackSettings

    settings = PackSettings(
        args.fps, args.short_side, args.quality, args.videos_per_shard
    )
    listing = read_listing(args.data, layout=args.layout, video_root=args.video_root)
    layout = LAYOUTS[listing.layout].description
    say(f"{args.data} read as {layout}; videos: {len(listing.entries):,}")
    quiet_start = functools.partial(load_tensorflow, verbose=args.verbose)
    quiet_start()
    began = time.monotonic()
    with step_progress("packing") as progress:
        pack = pack_videos(
            listing,
            args.out,
            settings,
            workers=args.workers,
            max_bad_share=args.max_bad_share,
            overwrite=args.overwrite,
            progress=progress,
            initializer=quiet_start,
        )
    if args.json:
        print_json({"out": args.out, **pack})
    else:
        console = result_console()
        for path, reason in pack["bad"].items():
            console.print(f"{path}: {reason}", markup=False, soft_wrap=True)
    say(
        f"{args.out}: {pack['bytes'] / 1e6:,.1f} MB; videos: {pack['videos']:,}, "
        f"shards: {pack['shards']:,}, left out: {len(pack['bad']):,} "
        f"({time.monotonic() - began:.1f} s, fingerprint {pack['fingerprint'][:12]})"
    )
    return 0
