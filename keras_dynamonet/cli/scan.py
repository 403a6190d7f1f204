"""`dynamonet scan`: which files of a data set cannot be read, and why."""

import argparse
import dataclasses
import time

from keras_dynamonet.cli.argument_types import at_least
from keras_dynamonet.cli.output import (
    load_tensorflow,
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
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="read files again that an earlier scan found unchanged since",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Scans and reports.

    Returns:
        0 if all videos can be read, else 1.
    """
    from keras_dynamonet.data.manifest import load_manifest
    from keras_dynamonet.data.scan import iterate_scan
    from keras_dynamonet.data.scan_cache import ScanCache

    manifest = load_manifest(
        args.data,
        layout=args.layout,
        split=args.split,
        labelled=False,
        video_root=args.video_root,
        allow_missing=True,
    )
    if manifest.layout == "packed":
        load_tensorflow(verbose=args.verbose)  # which reads the records
    began = time.monotonic()
    shown, bad = [], 0
    with step_progress("scanning") as progress, ScanCache(fresh=args.fresh) as cache:
        for result in iterate_scan(
            manifest,
            thorough=not args.quick,
            workers=args.workers,
            progress=progress,
            cache=cache,
        ):
            bad += not result.ok
            if args.json or not result.ok or result.remark:
                shown.append(result)
    seconds = time.monotonic() - began
    if args.json:
        print_json(
            {
                "data": args.data,
                "layout": manifest.layout,
                "thorough": not args.quick,
                "seconds": round(seconds, 3),
                "videos": len(manifest),
                "known": cache.hits,
                "bad": bad,
                "files": [_as_json(result) for result in shown],
            }
        )
    else:
        console = result_console()
        for result in sorted(shown, key=lambda result: result.ok):
            remark = result.reason or f"can be read, but {result.remark}"
            console.print(f"{result.path}: {remark}", markup=False, soft_wrap=True)
    known = f", {cache.hits:,} known from earlier scans" if cache.hits else ""
    say(
        f"{len(manifest) - bad:,} of {len(manifest):,} videos can be read, "
        f"{bad:,} cannot ({seconds:.1f} s{known})."
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
