"""Exports presets at full size and reports time, memory, size and parity.

    python -m benchmarks.export_full_size --data videos --presets resnext101-16f
    python -m benchmarks.export_full_size --data videos --presets all --size 32

The networks have fresh weights whose normalisation has seen some of the clips, and
blocks that add a fifth to their shortcuts, about as much as trained ones do. Every
export runs in a process of its own, so that its peak memory can be told from the
others'; the network, the clips and what Keras computes of them are made once a preset.
Engines are built for a GPU that need not be here (`--compute-capability`); without it
their ONNX models are compared.
"""

import argparse
import json
import logging
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

COLUMNS = (
    *("preset", "format", "precision"),
    *("seconds", "CPU seconds", "peak GB", "MB", "parity"),
)
# Of the training pass whose batch the normalisation takes its statistics from.
SETTLING_CLIPS = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Runs every combination and prints a table."""
    arguments = _parse(argv)
    if arguments.step:
        step = {"prepare": _prepare, "export": _export}[arguments.step]
        print(json.dumps(step(arguments)))
        return 0
    from keras_dynamonet.exporters.formats import FORMATS
    from keras_dynamonet.models.presets import PRESETS

    presets = list(PRESETS) if arguments.presets == ["all"] else arguments.presets
    print("| " + " | ".join(COLUMNS) + " |")
    print("| --- | --- | --- |" + " ---: |" * 4 + " --- |")
    failures = 0
    for preset in presets:
        with tempfile.TemporaryDirectory() as folder:
            prepared = _in_a_process(
                arguments, "prepare", "--presets", preset, "--prepared", folder
            )
            for name in arguments.formats or FORMATS:
                for precision in FORMATS[name].precisions:
                    if arguments.precisions and precision not in arguments.precisions:
                        continue
                    row = prepared
                    if "failed" not in prepared:
                        row = _in_a_process(
                            arguments,
                            "export",
                            *("--presets", preset, "--prepared", folder),
                            *("--formats", name, "--precisions", precision),
                        )
                    failures += "failed" in row
                    print(
                        f"| {preset} | {name} | {precision} | {_cells(row)} |",
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
    parser.add_argument("--classes", type=int, default=400)
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--calibration-clips", type=int, default=16)
    parser.add_argument("--compute-capability", default="8.9")
    parser.add_argument("--out", default="runs/export_full_size")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--prepared", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _in_a_process(arguments, step, *further):
    program = [sys.executable, "-m", "benchmarks.export_full_size"]
    command = [*program, "--step", step, *map(str, further)]
    for name in ("data", "size", "classes", "clips", "calibration_clips", "out"):
        value = getattr(arguments, name)
        if value is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    command += ["--compute-capability", arguments.compute_capability]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        # A negative status is a signal: -9 where memory ran out.
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"failed": f"status {done.returncode}: {reason}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def _cells(row):
    if "failed" in row:
        return f"| | | | failed: {row['failed']}"
    if "refused" in row:
        return f"| | | | not here: {row['refused']}"
    return (
        f"{row['seconds']:.0f} | {row['cpu_seconds']:.0f} | {row['peak_gb']:.1f} "
        f"| {row['mb']:.1f} | {row['parity']}"
    )


def _prepare(arguments):
    """Makes the network, the clips and what Keras computes of them."""
    import numpy as np

    from benchmarks.fresh_networks import quieten_blocks
    from keras_dynamonet import DynamoNet
    from keras_dynamonet.data.clip_sampling import ClipSpec
    from keras_dynamonet.exporters.calibration import load_export_clips
    from keras_dynamonet.exporters.folding import conv_norms
    from keras_dynamonet.exporters.source import ExportSource

    preset = arguments.presets[0]
    model = DynamoNet.from_preset(
        preset,
        num_classes=arguments.classes,
        **({"size": arguments.size} if arguments.size else {}),
    )
    spec = ClipSpec(num_frames=model.num_frames, size=model.frame_size[0])
    clips = load_export_clips(
        arguments.data,
        spec,
        num_parity=arguments.clips,
        num_calibration=arguments.calibration_clips,
    )
    quieten_blocks(model.backbone)
    norms = [unit.norm for unit in conv_norms(model)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(clips.calibration[:SETTLING_CLIPS], training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.save(arguments.prepared / "model.keras")
    np.savez(
        arguments.prepared / "clips.npz",
        parity=clips.parity,
        calibration=clips.calibration,
    )
    np.savez(arguments.prepared / "expected.npz", **ExportSource(model, clips).expected)
    return {}


def _export(arguments):
    import numpy as np

    from keras_dynamonet.errors import UserError
    from keras_dynamonet.exporters.calibration import ExportClips
    from keras_dynamonet.exporters.formats import plan
    from keras_dynamonet.exporters.job import run_jobs
    from keras_dynamonet.exporters.parity import TOLERANCES
    from keras_dynamonet.exporters.source import ExportSource
    from keras_dynamonet.models.loading import load_model

    logging.basicConfig(level=logging.WARNING)
    # Fresh weights hesitate between all classes: which one is first tells nothing.
    for name in ("float16", "dynamic_range", "int8"):
        TOLERANCES[name] = replace(TOLERANCES[name], top1=0.0)
    preset, folder = arguments.presets[0], arguments.prepared
    options = {"compute_capabilities": (arguments.compute_capability,)}
    jobs = plan(arguments.formats, arguments.precisions)
    try:
        for entry, precision in jobs:
            entry.check(precision, options)
    except UserError as error:
        return {"refused": str(error)}
    started, computed = time.monotonic(), _cpu_seconds()
    model = load_model(folder / "model.keras", compile=False)
    with np.load(folder / "clips.npz") as arrays:
        clips = ExportClips(**arrays, source=arguments.data)
    source = ExportSource(model, clips, name=preset)
    with np.load(folder / "expected.npz") as arrays:
        # In place of what this process would compute itself, at first use.
        object.__setattr__(source, "expected", dict(arrays))
    done = run_jobs(source, jobs, Path(arguments.out), options=options, overwrite=True)
    if done.errors:
        return {"failed": done.errors[0]}
    return {
        "seconds": time.monotonic() - started,
        "cpu_seconds": _cpu_seconds() - computed,
        "peak_gb": max(part.ru_maxrss for part in _usage()) / 1e6,
        "mb": sum(result.size_bytes for result in done.results) / 1e6,
        "parity": "; ".join(
            f"{entry.max_absolute:.1e}, top-1 {entry.top1_agreement:.0%}, "
            f"cosine {entry.cosine:.4f}"
            for report in done.reports
            for entry in report.entries
            if entry.output == "probabilities"
        ),
    }


def _usage():
    """Of this process and of those it started."""
    return [
        resource.getrusage(who)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]


def _cpu_seconds():
    return sum(part.ru_utime + part.ru_stime for part in _usage())


if __name__ == "__main__":
    sys.exit(main())
