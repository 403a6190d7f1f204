"""What one rendering is asked to write, and writing it."""

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_dynamonet.data.mocap.classes import motion_of
from keras_dynamonet.data.mocap.clips import ClipParameters, render_clip
from keras_dynamonet.data.mocap.encoding import write_clip


@dataclasses.dataclass(frozen=True)
class Job:
    """One rendering, and the classes it is written for.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        index: Number of the clip within its class and split.
        classes: Classes of one motion: it, its reversal, or both.
    """

    split: str
    index: int
    classes: tuple[str, ...]


def clip_path(split: str, class_name: str, index: int) -> str:
    """Path of a clip below the benchmark's folder, e.g. `train/walk/clip_007.mp4`."""
    return f"{split}/{class_name}/clip_{index:03d}.mp4"


def run_job(job: Job, parameters: ClipParameters, root: Path) -> Iterator[dict]:
    """Renders once, writes a file per class, yields a record of each."""
    motion, _ = motion_of(job.classes[0])
    frames, summary = render_clip(parameters, job.split, motion, job.index)
    for class_name in job.classes:
        _, backwards = motion_of(class_name)
        played = np.ascontiguousarray(frames[::-1]) if backwards else frames
        path = clip_path(job.split, class_name, job.index)
        write_clip(root / path, played, parameters.fps)
        digest = hashlib.sha256((root / path).read_bytes()).hexdigest()
        yield {"path": path, "sha256": digest, "scene": summary}
