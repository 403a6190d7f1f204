"""Exports presets at full size and reports time, memory, size and parity.

    python benchmarks/export_full_size.py --data videos --presets resnext101-16f
    python benchmarks/export_full_size.py --data videos --presets all --size 32

The networks have fresh weights whose normalisation has seen the clips. Every export
runs in a process of its own, so that its peak memory can be told from the others'.
"""

import argparse
import json
import logging
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# Forward passes in training mode; the statistics keep 0.9 of themselves in each.
SETTLING_STEPS = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Runs every combination and prints a table."""
    arguments = _parse(argv)
    if arguments.one:
        print(json.dumps(_export_one(arguments)))
        return 0
    from keras_dynamonet.exporters.formats import FORMATS
    from keras_dynamonet.models.presets import PRESETS

    presets = list(PRESETS) if arguments.presets == ["all"] else arguments.presets
    print(
        "| preset | format | precision | seconds | CPU seconds | peak GB | MB "
        "| parity |"
    )
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | --- |")
    failures = 0
    for preset in presets:
        for name in arguments.formats or FORMATS:
            for precision in FORMATS[name].precisions:
                if arguments.precisions and precision not in arguments.precisions:
                    continue
                row = _in_a_process(arguments, preset, name, precision)
                failures += not row["parity"].startswith("ok")
                print(
                    f"| {preset} | {name} | {precision} | {row['seconds']:.0f} "
                    f"| {row['cpu_seconds']:.0f} | {row['peak_gb']:.1f} "
                    f"| {row['mb']:.1f} | {row['parity']} |",
                    flush=True,
                )
    return 1 if failures else 0


def _parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="videos to compare on")
    parser.add_argument("--presets", nargs="+", default=["resnext101-16f"])
    parser.add_argument("--formats", nargs="+")
    parser.add_argument("--precisions", nargs="+")
    parser.add_argument("--size", type=int, help="pixels (default: the preset's)")
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--out", default="runs/export_full_size")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _in_a_process(arguments, preset, name, precision):
    command = [sys.executable, __file__, "--one", "--data", arguments.data]
    command += ["--presets", preset, "--formats", name, "--precisions", precision]
    command += ["--clips", str(arguments.clips), "--out", arguments.out]
    if arguments.size:
        command += ["--size", str(arguments.size)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {
            "seconds": 0,
            "cpu_seconds": 0,
            "peak_gb": 0,
            "mb": 0,
            "parity": f"failed: {reason}",
        }
    return json.loads(done.stdout.strip().splitlines()[-1])


def _export_one(arguments):
    from keras_dynamonet import DynamoNet
    from keras_dynamonet.data.clip_sampling import ClipSpec
    from keras_dynamonet.exporters.calibration import load_export_clips
    from keras_dynamonet.exporters.formats import plan
    from keras_dynamonet.exporters.job import run_jobs
    from keras_dynamonet.exporters.source import ExportSource

    logging.basicConfig(level=logging.WARNING)
    preset = arguments.presets[0]
    model = DynamoNet.from_preset(
        preset, num_classes=8, **({"size": arguments.size} if arguments.size else {})
    )
    spec = ClipSpec(num_frames=model.num_frames, size=model.frame_size[0])
    clips = load_export_clips(
        arguments.data, spec, num_parity=arguments.clips, num_calibration=16
    )
    for step in range(SETTLING_STEPS):
        first = 2 * step % (len(clips.calibration) - 1)
        model(clips.calibration[first : first + 2], training=True)
    source = ExportSource(model, clips, name=preset)
    source.expected  # noqa: B018  (computed here, so that it is no part of the time)
    started, computed = time.monotonic(), _cpu_seconds()
    done = run_jobs(
        source,
        plan(arguments.formats, arguments.precisions),
        Path(arguments.out),
        overwrite=True,
    )
    return {
        "seconds": time.monotonic() - started,
        "cpu_seconds": _cpu_seconds() - computed,
        "peak_gb": max(part.ru_maxrss for part in _usage()) / 1e6,
        "mb": sum(result.size_bytes for result in done.results) / 1e6,
        "parity": _verdict(done),
    }


def _usage():
    """Of this process and of those it started."""
    return [
        resource.getrusage(who)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]


def _cpu_seconds():
    return sum(part.ru_utime + part.ru_stime for part in _usage())


def _verdict(done):
    if done.errors:
        return f"failed: {done.errors[0]}"
    shown = []
    for report in done.reports:
        for entry in report.entries:
            if entry.output == "probabilities":
                shown.append(
                    f"{entry.max_absolute:.1e}, top-1 {entry.top1_agreement:.0%}"
                )
    return "ok " + "; ".join(shown)


if __name__ == "__main__":
    sys.exit(main())
