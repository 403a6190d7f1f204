"""What `dynamonet embed` and `dynamonet predict --out` share."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict

from keras_dynamonet.bulk import ENGINES
from keras_dynamonet.bulk.job import BulkJob
from keras_dynamonet.cli.argument_types import at_least, positive
from keras_dynamonet.cli.output import (
    load_tensorflow,
    print_json,
    result_console,
    say,
    step_progress,
)


def add_bulk_flags(parser: argparse._ActionsContainer) -> None:
    """Adds the flags that say how a long list of videos is worked off."""
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="local",
        help="one process, or several of them with Ray (default: local)",
    )
    parser.add_argument(
        "--workers",
        type=at_least(1),
        metavar="N",
        help="processes of --engine ray (default: what the cluster has room for)",
    )
    parser.add_argument(
        "--threads",
        type=at_least(1),
        metavar="N",
        help="threads of each process (default: one a core; with ray: 1)",
    )
    parser.add_argument(
        "--part-size",
        type=at_least(1),
        default=BulkJob.part_size,
        metavar="N",
        help="videos in one file: what a killed worker does again (default: "
        f"{BulkJob.part_size})",
    )
    parser.add_argument("--layout", default="auto", help="layout of DATA")
    parser.add_argument("--split", help="only this part of DATA, e.g. train")
    parser.add_argument(
        "--video-root",
        metavar="FOLDER",
        help="folder that the paths in a list start from",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the output in DIR, of another job or of this one",
    )


def add_view_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say which clips of a video are looked at."""
    parser.add_argument(
        "--top",
        type=at_least(1),
        metavar="N",
        help=f"most probable classes to write (default: {BulkJob.top})",
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
        help=f"clips at a time (default: {BulkJob.batch_size})",
    )


def given_bulk_flags(arguments: argparse.Namespace) -> Sequence[str]:
    """Names of the flags of :func:`add_bulk_flags` that were given."""
    parser = argparse.ArgumentParser()
    add_bulk_flags(parser)
    return [
        f"--{name.replace('_', '-')}"
        for name, default in vars(parser.parse_args([])).items()
        if getattr(arguments, name) != default
    ]


def run_bulk_program(arguments: argparse.Namespace, data: str, *, vectors: bool) -> int:
    """Works off all videos of `data` into the folder `--out`.

    Args:
        arguments: Those of the program.
        data: The videos, in any layout.
        vectors: Whether embeddings and motion representations are wanted.

    Returns:
        0: a video that cannot be read is a row with a reason, not a failure.
    """
    load_tensorflow(verbose=arguments.verbose)
    from keras_dynamonet.bulk.run import run_bulk
    from keras_dynamonet.data.manifest import load_manifest

    job = BulkJob(
        model=arguments.model,
        vectors=vectors,
        top=arguments.top or BulkJob.top,
        num_clips=arguments.clips,
        num_crops=arguments.crops,
        fps=arguments.fps,
        stride=arguments.stride,
        batch_size=arguments.batch_size or BulkJob.batch_size,
        part_size=arguments.part_size,
    )
    manifest = load_manifest(
        data,
        layout=arguments.layout,
        split=arguments.split,
        labelled=False,
        video_root=arguments.video_root,
        allow_missing=True,  # a missing file is a row like any other bad video
    )
    with step_progress("videos") as progress:
        summary = run_bulk(
            job,
            manifest,
            arguments.out,
            engine=arguments.engine,
            workers=arguments.workers,
            threads=arguments.threads,
            overwrite=arguments.overwrite,
            progress=progress,
        )
    if arguments.json:
        print_json({"out": arguments.out, **asdict(summary)})
    else:
        result_console().print(
            f"{arguments.out}: {summary.videos:,} videos in {summary.parts} files, "
            f"{summary.bad:,} could not be read, {summary.too_short:,} too short",
            markup=False,
        )
    skipped = f", {summary.skipped_parts} parts were there" * bool(
        summary.skipped_parts
    )
    say(f"{summary.seconds:.1f} s with {summary.workers} workers{skipped}.")
    return 0
