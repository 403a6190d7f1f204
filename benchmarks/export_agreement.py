"""Trains presets and counts how often their artefacts agree with Keras.

    python -m benchmarks.export_agreement
    python -m benchmarks.export_agreement --presets nano-16f --size 64 --epochs 12

The classes are those of the demo, rendered with more frames a second, so that clips of
64 frames see as much time as those of 16. An architecture learns from clips of 16
frames; longer ones start from its weights. Artefacts classify every held-out video, as
`dynamonet compare --accuracy` does. What is done is kept in the folder of `--out`, and
a second call goes on.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.tables import Table
from keras_dynamonet.data.mocap.classes import DEMO_CLASSES
from keras_dynamonet.files import atomic_path

VIDEO_FRAMES = 66
VIDEO_FPS = 36
VIDEO_SIZE = 64
VALIDATION_CLIPS = 5
COMPARED_CLIPS = 256
CLIP_FPS = {16: 12, 32: 18, 64: 36}
"""Frames a second of a clip by its number of frames: 1.4 to 1.8 seconds."""

ARTEFACTS = {
    "onnx": ("float32", "float16", "int8"),
    "tflite": ("float32", "float16", "dynamic_range", "int8"),
    "saved_model": ("float32",),
}
"""Precisions by format."""


def main(argv: Sequence[str] | None = None) -> int:
    """Trains, exports, compares and prints a table."""
    arguments = _parse(argv)
    videos = arguments.out / "videos"
    _dynamonet(
        *("mocap", videos, "--frames", VIDEO_FRAMES, "--fps", VIDEO_FPS),
        *("--size", VIDEO_SIZE, "--train", arguments.train_clips),
        *("--validation", VALIDATION_CLIPS, "--test", arguments.test_clips),
        *("--classes", *DEMO_CLASSES),
    )
    table = Table(
        f"Artefacts beside Keras, {arguments.size} pixels",
        ("preset", "artefact", "Keras, %", "artefact, %", "same class, %", "off by"),
    )
    passed = True
    for preset in arguments.presets:
        for name, found in _compared(_train(arguments, preset, videos), videos):
            passed &= found is not None and found["passed"]
            table.add(preset, name, *_cells(found))
    print(table.to_markdown())
    return 0 if passed else 1


def _parse(argv):
    from keras_dynamonet.models.presets import PRESETS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    parser.add_argument("--size", type=int, default=48, help="pixels")
    parser.add_argument("--epochs", type=int, default=2, help="of 16 frames")
    parser.add_argument("--train-clips", type=int, default=240, help="a class")
    parser.add_argument("--test-clips", type=int, default=50, help="a class")
    parser.add_argument("--out", type=Path, default=Path("runs/export_agreement"))
    return parser.parse_args(argv)


def _cells(found):
    if found is None:
        return "", "none that holds", "", ""
    off = found["max_absolute"]
    return (
        *(f"{100 * found[who]['value']:.1f}" for who in ("keras", "exported")),
        f"{100 * found['top1_agreement']:.1f}",
        "not finite" if off is None else f"{off:.1e}",
    )


def _compared(run, videos) -> Iterator[tuple[str, dict | None]]:
    """Every artefact and what `dynamonet compare` says of it; None if there is none."""
    from keras_dynamonet.exporters.formats import FORMATS

    for name, precisions in ARTEFACTS.items():
        for precision in precisions:
            file = FORMATS[name].file_name("model", precision)
            told = run / f"{file}.json"
            if not told.exists():
                _compare(run, name, precision, run / "export" / file, videos, told)
            document = json.loads(told.read_text(encoding="utf-8"))
            entries = document["accuracy"]
            yield f"{name} {precision}", entries[0] if entries else None


def _compare(run, name, precision, artefact, videos, told):
    _dynamonet(
        *("export", run, "--format", name, "--precision", precision, "--overwrite"),
        *("--data", videos / "train", "--clips", COMPARED_CLIPS),
        accepted=(0, 1),
    )
    document = {"accuracy": []}
    if artefact.exists():
        output = _dynamonet(
            *("compare", run, artefact, "--clips", 8, "--accuracy", "--json"),
            accepted=(0, 1),
        )
        document = json.loads(output or "{}")
    if "accuracy" not in document:
        raise SystemExit(f"{artefact}: was not compared.")
    with atomic_path(told) as temporary:
        temporary.write_text(json.dumps(document), encoding="utf-8")


def _train(arguments, preset, videos):
    """The folder of a finished run."""
    architecture, _, length = preset.rpartition("-")
    frames = int(length.removesuffix("f"))
    folder = arguments.out / f"{arguments.size}px_{arguments.epochs}epochs"
    run = folder / preset
    if (run / "config.json").exists():
        _dynamonet("train", "--resume", run)  # nothing, where it is finished
        return run
    command = [
        *("train", videos, "--run", run, "--preset", preset, "--overwrite"),
        *("--size", arguments.size, "--fps", CLIP_FPS[frames]),
        *("--scales", 1),
    ]
    if frames == min(CLIP_FPS):
        start = _fresh(arguments, preset, folder)
        command += ["--epochs", arguments.epochs, "--learning-rate", 1e-3]
    else:
        start = _train(arguments, f"{architecture}-{min(CLIP_FPS)}f", videos)
        command += ["--epochs", 1, "--learning-rate", 3e-4, "--batch-size", 8]
    _dynamonet(*command, "--init", start)
    return run


def _fresh(arguments, preset, folder):
    """A file of a fresh network whose blocks add little to their shortcuts.

    A hundred layers that each double the variance take more clips to settle.
    """
    import keras

    from benchmarks.fresh_networks import quieten_blocks
    from keras_dynamonet import DynamoNet

    keras.utils.set_random_seed(0)
    model = DynamoNet.from_preset(preset, len(DEMO_CLASSES), size=arguments.size)
    quieten_blocks(model.backbone)
    path = folder / f"{preset}.fresh.keras"
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return path


def _dynamonet(*words, accepted=(0,)):
    """Runs the command, its messages on this process's standard error."""
    program = [sys.executable, "-m", "keras_dynamonet.cli.main"]
    command = [*program, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode not in accepted:
        raise SystemExit(f"{' '.join(command)} failed with status {done.returncode}.")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
