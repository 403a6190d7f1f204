"""`dynamonet demo`: the whole job on the built-in benchmark, ending in a report."""

import argparse
import shlex
import time
from dataclasses import replace
from typing import Any

from keras_dynamonet.cli.argument_types import at_least, local_path
from keras_dynamonet.cli.demo_settings import QUICK, DemoFolder, DemoSettings
from keras_dynamonet.cli.output import load_tensorflow, print_json, result_console, say

DEFAULT_OUT = "runs/demo"

DESCRIPTION = """\
Renders short videos of eight actions (four recorded human motions, forwards and
backwards), trains a small DynamoNet on them, judges it on cameras, backdrops and bodies
that it never saw, and writes a report as one HTML page. Takes about ten minutes on two
cores. Stopped, it goes on where it was when called again.
"""
EXAMPLES = """\
examples:
  dynamonet demo
  dynamonet demo --quick --out runs/quick
  dynamonet demo --seed 1 --out runs/demo-1 --json
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the program and its options to the command `dynamonet`."""
    parser = subparsers.add_parser(
        "demo",
        help="the whole job on the built-in benchmark, ending in a report",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    full = DemoSettings()
    parser.add_argument(
        "--out",
        type=local_path,
        metavar="FOLDER",
        default=DEFAULT_OUT,
        help=f"folder for everything (default: {DEFAULT_OUT})",
    )
    parser.add_argument(
        "--seed",
        type=at_least(0),
        metavar="N",
        help=f"seed of videos and training (default: {full.seed})",
    )
    parser.add_argument(
        "--epochs",
        type=at_least(1),
        metavar="N",
        help=f"passes over the training videos (default: {full.epochs})",
    )
    parser.add_argument(
        "--clips-per-class",
        type=at_least(1),
        metavar="N",
        help=f"training videos a class (default: {full.train_clips})",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a run of seconds that learns nothing, to try the machinery",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier demo in FOLDER"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the summary as JSON on stdout"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the demo, or what is left of it."""
    settings = demo_settings(arguments)
    folder = DemoFolder(arguments.out)
    folder.open(settings, overwrite=arguments.overwrite)
    if folder.summary.exists():
        say(f"{folder.path}: is finished. Run it again with --overwrite.")
        summary = folder.read_json(folder.summary)
    else:
        started = time.monotonic()
        load_tensorflow(verbose=arguments.verbose)
        from keras_dynamonet.cli.demo_job import Demo

        command = command_line(arguments)
        summary = Demo(settings, folder, command=command, started=started).run()
    if arguments.json:
        print_json(summary)
    else:
        result_console().print("\n".join(summary_lines(summary)), markup=False)
    return 0


def demo_settings(arguments: argparse.Namespace) -> DemoSettings:
    """The sizes that the flags ask for."""
    given = {
        "seed": arguments.seed,
        "epochs": arguments.epochs,
        "train_clips": arguments.clips_per_class,
    }
    given = {name: value for name, value in given.items() if value is not None}
    return replace(QUICK if arguments.quick else DemoSettings(), **given)


def command_line(arguments: argparse.Namespace) -> str:
    """The shortest line that gives the same run."""
    words = ["dynamonet", "demo"]
    for name in ("seed", "epochs", "clips_per_class"):
        value = getattr(arguments, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    if arguments.quick:
        words.append("--quick")
    if arguments.out != DEFAULT_OUT:
        words += ["--out", arguments.out]
    return shlex.join(words)


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """The outcome for people."""
    low, high = summary["video_accuracy_interval"]
    lines = [
        f"accuracy      {_percent(summary['video_accuracy'])} of "
        f"{summary['test_videos']} held-out videos "
        f"({_percent(low)} to {_percent(high)}); without the order of the frames at "
        f"most {_percent(summary['order_blind_ceiling'])}"
    ]
    for part in ("observed", "unseen"):
        floor, model, ceiling = (
            summary[f"psnr_{bound}"][part]
            for bound in ("copy_last", "model", "ceiling")
        )
        lines.append(
            f"next frame    {part}: copy {floor:.2f}, model {model:.2f}, best filter "
            f"{ceiling:.2f} dB"
        )
    minutes, seconds = divmod(round(summary["wall_seconds"]), 60)
    cost = f"took          {minutes} min {seconds} s"
    if summary["peak_rss_gib"] is not None:
        cost += f", {summary['peak_rss_gib']:.1f} GiB"
    lines += [cost, f"report        {summary['report']}"]
    if summary["quick"]:
        lines.insert(0, "A shortened run: its figures mean nothing.")
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
