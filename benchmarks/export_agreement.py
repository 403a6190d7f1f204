"""Trains presets and counts how often their artefacts agree with Keras.

    python -m benchmarks.export_agreement
    python -m benchmarks.export_agreement --presets nano-16f --size 64 --epochs 12

The classes are those of the demo, rendered with more frames a second, so that clips of
64 frames see as much time as those of 16. An architecture learns from clips of 16
frames; longer ones start from its weights, and networks with STC blocks from those of
the one without: they learn from a quarter of the clips. Artefacts classify every
held-out video, as `dynamonet compare --accuracy` does. What is done is kept in the
folder of `--out`, and a second call goes on.
"""

import argparse
import csv
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
CLIP_FPS = {16: 12, 32: 18, 64: 36}
"""Frames a second of a clip by its number of frames: 1.4 to 1.8 seconds."""

FEW_CLIPS = 1 / 4
"""Share of the clips that a network learns from whose weights come from another."""

EXPORTS = (
    ("onnx", ("float32", "float16", "int8")),
    ("tflite", ("float32", "float16", "dynamic_range", "int8")),
    ("saved_model", ("float32",)),
)
"""Formats and their precisions."""


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

    files = {
        f"{name} {precision}": FORMATS[name].file_name("model", precision)
        for name, precisions in EXPORTS
        for precision in precisions
    }
    told = run / "accuracy.json"
    if not told.exists():
        _compare(run, files.values(), videos, told)
    entries = {e["file"]: e for e in json.loads(told.read_text(encoding="utf-8"))}
    for name, file in files.items():
        yield name, entries.get(file)


def _compare(run, files, videos, told):
    for name, precisions in EXPORTS:
        _dynamonet(
            *("export", run, "--format", name, "--precision", ",".join(precisions)),
            *("--data", videos / "train", "--overwrite"),
            accepted=(0, 1),
        )
    artefacts = [file for file in files if (run / "export" / file).exists()]
    output = _dynamonet(
        *("compare", run, *(run / "export" / file for file in artefacts)),
        *("--clips", 8, "--accuracy", "--json"),
        accepted=(0, 1),
    )
    entries = json.loads(output or "{}").get("accuracy")
    if entries is None:
        raise SystemExit(f"{run}: its artefacts were not compared.")
    for file, entry in zip(artefacts, entries, strict=True):
        entry["file"] = file
    with atomic_path(told) as temporary:
        temporary.write_text(json.dumps(entries), encoding="utf-8")


def _train(arguments, preset, videos):
    """The folder of a finished run."""
    frames = int(preset.rpartition("-")[2].removesuffix("f"))
    run = _folder(arguments) / preset
    if (run / "config.json").exists():
        _dynamonet("train", "--resume", run)  # nothing, where it is finished
        return run
    start, data = _start(arguments, preset, videos), videos
    settings = (*("--epochs", arguments.epochs), *("--learning-rate", 1e-3))
    if start.is_dir():  # a trained network
        data = _few(videos, int(FEW_CLIPS * arguments.train_clips))
        settings = (*("--epochs", 2), *("--learning-rate", 3e-4), *("--batch-size", 8))
    _dynamonet(
        *("train", data, "--run", run, "--preset", preset, "--init", start),
        *("--size", arguments.size, "--fps", CLIP_FPS[frames], "--scales", 1),
        *(*settings, "--overwrite"),
    )
    return run


def _start(arguments, preset, videos):
    """A run, or a file, that training starts from."""
    architecture, _, length = preset.rpartition("-")
    shortest = f"{min(CLIP_FPS)}f"
    if length != shortest:
        return _train(arguments, f"{architecture}-{shortest}", videos)
    if architecture.startswith("stc-"):
        return _train(arguments, preset.removeprefix("stc-"), videos)
    return _fresh(arguments, preset)


def _folder(arguments):
    return arguments.out / f"{arguments.size}px_{arguments.epochs}epochs"


def _few(videos, clips):
    """A list of the videos with fewer to learn from."""
    path = videos.with_name(f"videos_{clips}.csv")
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label", "split"))
        for folder in sorted(videos.glob("*/*/")):
            label, split = folder.name, folder.parent.name
            found = sorted(folder.glob("*.mp4"))
            for video in found[: clips if split == "train" else None]:
                rows.writerow((video.resolve(), label, split))
    return path


def _fresh(arguments, preset):
    """A file of a fresh network whose blocks add little to their shortcuts.

    A hundred layers that each double the variance take more clips to settle.
    """
    import keras

    from benchmarks.fresh_networks import quieten_blocks
    from keras_dynamonet import DynamoNet

    keras.utils.set_random_seed(0)
    model = DynamoNet.from_preset(preset, len(DEMO_CLASSES), size=arguments.size)
    quieten_blocks(model.backbone)
    path = _folder(arguments) / f"{preset}.fresh.keras"
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
