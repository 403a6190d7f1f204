"""Builds TensorRT engines of full-size networks; reports time, memory and layers.

    python benchmarks/tensorrt_full_size.py
    python benchmarks/tensorrt_full_size.py --precisions float32 float16 bfloat16 int8

Needs no GPU with TensorRT-RTX. The weights are fresh and the clips of INT8's
calibration are noise: this measures the builder, not the network. Every engine is built
in a process of its own, so that its peak memory can be told from the others'.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence

CALIBRATION_CLIPS = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Builds every combination and prints a table."""
    arguments = _parse(argv)
    if arguments.one:
        print(json.dumps(_build_one(arguments)))
        return 0
    columns = ("preset", "precision", "onnx s", "build s", "peak GB", "ONNX MB", "MB")
    print("| " + " | ".join((*columns, "convolutions")) + " |")
    print("| --- | --- |" + " ---: |" * (len(columns) - 2) + " --- |")
    failures = 0
    for preset in arguments.presets:
        for precision in arguments.precisions:
            command = [sys.executable, __file__, "--one", "--presets", preset]
            command += ["--precisions", precision]
            command += ["--compute-capability", arguments.compute_capability]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                failures += 1
                # A negative status is a signal: -9 where memory ran out.
                reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
                reason = f"failed with status {done.returncode}: {reason}"
                print(f"| {preset} | {precision} | {reason} |", flush=True)
                continue
            row = json.loads(done.stdout.strip().splitlines()[-1])
            print(f"| {preset} | {precision} | " + " | ".join(row) + " |", flush=True)
    return 1 if failures else 0


def _parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", nargs="+", default=["resnext101-16f"])
    parser.add_argument("--precisions", nargs="+", default=["float32", "float16"])
    parser.add_argument("--compute-capability", default="8.9")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _build_one(arguments):
    import numpy as np

    from keras_dynamonet import DynamoNet
    from keras_dynamonet.exporters.calibration import share_out
    from keras_dynamonet.exporters.onnx import convert
    from keras_dynamonet.exporters.source import ExportSource
    from keras_dynamonet.exporters.tensorrt import EngineSettings, build_engine
    from keras_dynamonet.exporters.tensorrt_network import with_float_biases

    model = DynamoNet.from_preset(arguments.presets[0], num_classes=400)
    shape = (CALIBRATION_CLIPS, model.num_frames, *model.frame_size, 3)
    clips = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    started = time.monotonic()
    proto = convert(
        ExportSource(model, share_out(clips, 1)), precision=arguments.precisions[0]
    )
    onnx = with_float_biases(proto).SerializeToString()
    converted = time.monotonic()
    settings = EngineSettings(
        compute_capabilities=(arguments.compute_capability,), flavour="tensorrt_rtx"
    )
    engine, network = build_engine(onnx, settings)
    built = time.monotonic()
    kinds = {k: n for k, n in network.layers.items() if k.startswith("CONVOLUTION")}
    kinds["quantized"] = network.quantized_convolutions
    return [
        f"{converted - started:.0f}",
        f"{built - converted:.0f}",
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f}",
        f"{len(onnx) / 1e6:.1f}",
        f"{len(engine) / 1e6:.1f}",
        ", ".join(f"{name}: {count}" for name, count in kinds.items()),
    ]


if __name__ == "__main__":
    sys.exit(main())
