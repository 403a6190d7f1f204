"""Writes the motion-capture benchmark to a folder of class folders."""

import contextlib
import dataclasses
import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from keras_dynamonet.data.mocap.backdrops import BACKDROP_FILES
from keras_dynamonet.data.mocap.camera import CAMERA_STYLES, MIXED
from keras_dynamonet.data.mocap.classes import motion_of, select_classes
from keras_dynamonet.data.mocap.clips import ClipParameters
from keras_dynamonet.data.mocap.jobs import Job, clip_path
from keras_dynamonet.data.mocap.motions import MOTION_FILES
from keras_dynamonet.data.mocap.processes import run_jobs
from keras_dynamonet.data.mocap.scene import SPLITS
from keras_dynamonet.data.mocap.wheel_files import fetch_wheel_files
from keras_dynamonet.errors import UserError
from keras_dynamonet.files import atomic_path
from keras_dynamonet.version import __version__

DESCRIPTION_FILE = "benchmark.json"
DEFAULT_CLIPS_PER_CLASS = {"train": 100, "validation": 20, "test": 50}
# Raised whenever the same arguments would give other pictures.
RENDERER_REVISION = 1

_RECORDS_FILE = ".records.jsonl"
_SMALLEST_SIZE = 16

Progress = Callable[[int, int], None]


def render_benchmark(
    out_dir: str | os.PathLike,
    *,
    track: str = "time",
    classes: Sequence[str] | None = None,
    clips_per_class: Mapping[str, int] | None = None,
    size: int = 64,
    num_frames: int = 20,
    fps: float = 12.0,
    camera: str = "still",
    seed: int = 0,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Renders labelled action videos from recorded human motions.

    Writes `OUT/{train,validation,test}/CLASS/clip_000.mp4` and `OUT/benchmark.json`. A
    clip's bytes depend on `seed`, split, class, number and the arguments below, not on
    the number of processes. An interrupted rendering goes on where it stopped when
    called again with the same arguments.

    Args:
        out_dir: A new folder, or one of an earlier call with the same arguments.
        track: `"native"` (15 motions), `"time"` (10 motions forwards and backwards) or
            `"all"` (25 classes).
        classes: Some classes of the track; all if `None`.
        clips_per_class: Split to number of clips. Default: 100 for training, 20 for
            validation, 50 for testing.
        size: Side of the square frames in pixels, even.
        num_frames: Frames in a clip.
        fps: Frames a second.
        camera: `"still"`, `"following"` (moves along with the person), `"shaking"`
            (as held by hand) or `"mixed"` (one of these per clip).
        seed: Seed of every draw.
        processes: Rendering processes; as many as there are processors if `None`, 1
            renders in this process.
        progress: Called with the finished and the total number of clips.

    Returns:
        `out_dir` as a path.

    Raises:
        UserError: A bad argument, a folder with other content, or recordings that
            cannot be fetched.

    Example:

    ```python
    render_benchmark(
        "mocap", classes=["walk", "walk_reversed"], clips_per_class={"train": 4}
    )
    ```
    """
    root = Path(out_dir)
    names = select_classes(track, classes)
    counts = dict(
        DEFAULT_CLIPS_PER_CLASS if clips_per_class is None else clips_per_class
    )
    parameters = ClipParameters(size, num_frames, float(fps), camera, seed)
    _check_arguments(counts, parameters, processes)
    description = {
        "benchmark": "keras-dynamonet motion capture",
        "renderer_revision": RENDERER_REVISION,
        "track": track,
        "classes": names,
        "clips_per_class": counts,
        "parameters": dataclasses.asdict(parameters),
        "splits": {name: dataclasses.asdict(SPLITS[name]) for name in counts},
        "sources": [MOTION_FILES.requirement, BACKDROP_FILES.requirement],
    }
    description = json.loads(json.dumps(description))  # as it is read back
    records = _records_to_keep(root, description)
    total = len(names) * sum(counts.values())
    for files in (MOTION_FILES, BACKDROP_FILES):
        fetch_wheel_files(files)
    if not records:
        _write_description(root, description, finished=False)
    jobs = _missing_jobs(names, counts, records)
    if progress:
        progress(len(records), total)
    with open(root / _RECORDS_FILE, "a", encoding="utf-8") as log:
        for record in run_jobs(jobs, parameters, root, processes):
            log.write(json.dumps(record) + "\n")
            log.flush()
            records[record["path"]] = record
            if progress:
                progress(len(records), total)
    _write_description(root, description, finished=True, records=records)
    (root / _RECORDS_FILE).unlink()
    return root


def _check_arguments(
    counts: dict[str, int], parameters: ClipParameters, processes: int | None
) -> None:
    unknown = [split for split in counts if split not in SPLITS]
    if unknown or not counts:
        raise UserError(
            f"`clips_per_class` must name some of {list(SPLITS)}. "
            f"Received: {list(counts)}."
        )
    if min(counts.values()) < 0 or not sum(counts.values()):
        raise UserError(
            f"`clips_per_class` must hold numbers that are not negative and not all 0. "
            f"Received: {counts}."
        )
    if parameters.size < _SMALLEST_SIZE or parameters.size % 2:
        raise UserError(
            f"`size` must be even and at least {_SMALLEST_SIZE} pixels. "
            f"Received: {parameters.size}."
        )
    if parameters.num_frames < 2:
        raise UserError(
            f"`num_frames` must be at least 2. Received: {parameters.num_frames}."
        )
    if not 1 <= parameters.fps <= 120:
        raise UserError(f"`fps` must be from 1 to 120. Received: {parameters.fps}.")
    if parameters.camera not in (*CAMERA_STYLES, MIXED):
        raise UserError(
            f"`camera` must be one of {[*CAMERA_STYLES, MIXED]}. "
            f"Received: {parameters.camera!r}."
        )
    if parameters.seed < 0:
        raise UserError(f"`seed` must not be negative. Received: {parameters.seed}.")
    if processes is not None and processes < 1:
        raise UserError(f"`processes` must be at least 1. Received: {processes}.")


def _records_to_keep(root: Path, description: dict) -> dict[str, dict]:
    """Records, by path, of the clips that an earlier call has finished in `root`."""
    path = root / DESCRIPTION_FILE
    if not path.is_file():
        if root.is_dir() and any(root.iterdir()):
            raise UserError(
                f"{root}: not empty and without {DESCRIPTION_FILE}. "
                "Choose another folder."
            )
        return {}
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{path}: cannot be read ({error}). Choose another folder."
        ) from error
    differing = [key for key in description if earlier.get(key) != description[key]]
    if differing:
        raise UserError(
            f"{root}: holds a benchmark with other arguments "
            f"({', '.join(differing)}). Choose another folder."
        )
    for leftover in root.rglob(".*.partial.mp4"):  # of a process that was killed
        leftover.unlink()
    records = list(earlier.get("clips", []))
    with contextlib.suppress(FileNotFoundError):
        records += _read_records((root / _RECORDS_FILE).read_text(encoding="utf-8"))
    return {
        record["path"]: record
        for record in records
        if (root / record["path"]).is_file()
    }


def _read_records(lines: str) -> Iterator[dict]:
    for line in lines.splitlines():
        with contextlib.suppress(ValueError):  # the last line of a killed process
            yield json.loads(line)


def _missing_jobs(
    names: list[str], counts: dict[str, int], records: dict[str, dict]
) -> list[Job]:
    """One job per rendering that some missing clip needs."""
    by_motion: dict[str, list[str]] = {}
    for name in names:
        by_motion.setdefault(motion_of(name)[0], []).append(name)
    jobs = []
    for split, count in counts.items():
        for members in by_motion.values():
            for index in range(count):
                missing = tuple(
                    name
                    for name in members
                    if clip_path(split, name, index) not in records
                )
                if missing:
                    jobs.append(Job(split, index, missing))
    return jobs


def _write_description(
    root: Path,
    description: dict,
    *,
    finished: bool,
    records: Mapping[str, dict] | None = None,
) -> None:
    document = dict(description, finished=finished)
    document["versions"] = {
        "keras_dynamonet": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "av": av.__version__,
    }
    if records is not None:
        clips = [records[path] for path in sorted(records)]
        lines = "".join(f"{clip['sha256']}  {clip['path']}\n" for clip in clips)
        document["fingerprint"] = hashlib.sha256(lines.encode()).hexdigest()
        document["clips"] = clips
    with atomic_path(root / DESCRIPTION_FILE) as partial:
        partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
