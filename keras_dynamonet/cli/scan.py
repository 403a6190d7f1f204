"""`dynamonet scan`: which files of a data set cannot be read, and why."""

import argparse
import dataclasses
import time

from keras_dynamonet.cli.number_types import at_least
from keras_dynamonet.cli.output import (
    print_json,
    result_console,
    say,
    step_progress,
)

EXAMPLES = """\
examples:
  dynamonet scan videos/
  dynamonet scan list.csv --split train --quick
  dynamonet scan videos/ --json > scan.json

Prints a line for each bad or odd file. The exit status is 0 if all videos can be
read and 1 if some cannot.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the program and its options to the command `dynamonet`."""
    parser = subparsers.add_parser(
        "scan",
        help="list the videos that cannot be read, and why",
        description="Decodes every video of a data set and lists what is wrong.",
        epilog=EXAMPLES,
    )
    parser.add_argument("data", metavar="DATA", help="folder, list, or one video")
    parser.add_argument(
        "--layout", default="auto", help="how DATA is laid out (default: recognised)"
    )
    parser.add_argument("--split", help="only this part, e.g. train")
    parser.add_argument(
        "--video-root",
        metavar="FOLDER",
        help="where the paths in a list start (default: looked for)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="decode the first, middle and last frame of each video only",
    )
    parser.add_argument(
        "--workers",
        type=at_least(1),
        metavar="N",
        help="videos at a time (default: number of processors)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Scans and reports.

    Returns:
        0 if all videos can be read, else 1.
    """
    from keras_dynamonet.data.manifest import load_manifest
    from keras_dynamonet.data.scan import scan_videos

    manifest = load_manifest(
        args.data,
        layout=args.layout,
        split=args.split,
        labelled=False,
        video_root=args.video_root,
        allow_missing=True,
    )
    began = time.monotonic()
    with step_progress("scanning") as progress:
        results = scan_videos(
            manifest, thorough=not args.quick, workers=args.workers, progress=progress
        )
    seconds = time.monotonic() - began
    bad = [result for result in results if not result.ok]
    odd = [result for result in results if result.ok and result.remark]
    if args.json:
        print_json(
            {
                "data": args.data,
                "layout": manifest.layout,
                "thorough": not args.quick,
                "seconds": round(seconds, 3),
                "videos": len(results),
                "bad": len(bad),
                "files": [_as_json(result) for result in results],
            }
        )
    else:
        console = result_console()
        for result in bad + odd:
            remark = result.reason or f"can be read, but {result.remark}"
            console.print(f"{result.path}: {remark}", markup=False, soft_wrap=True)
    say(
        f"{len(results) - len(bad):,} of {len(results):,} videos can be read, "
        f"{len(bad):,} cannot ({seconds:.1f} s)."
    )
    return 1 if bad else 0


def _as_json(result) -> dict:
    document = {"path": result.path, "ok": result.ok}
    if result.reason:
        document["reason"] = result.reason
    if result.remark:
        document["remark"] = result.remark
    if result.info is not None:
        info = dataclasses.asdict(result.info)
        del info["path"]
        document["info"] = info
    return document
