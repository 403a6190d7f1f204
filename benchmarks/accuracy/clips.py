"""Rendered clips as arrays: rendered once, decoded once, kept in a file."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy.experiments import ClipSet
from keras_dynamonet.data.decoding import iterate_frames
from keras_dynamonet.data.mocap.benchmark import render_benchmark
from keras_dynamonet.files import atomic_path


@dataclass(frozen=True)
class LabelledClips:
    """Clips of one split.

    Args:
        clips: `(n, frames, height, width, 3)`, uint8.
        labels: `(n,)`, int32.
    """

    clips: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.clips)


def load_clips(settings: ClipSet, cache: Path) -> dict[str, LabelledClips]:
    """The splits `train` and `test`, rendered at first use.

    Args:
        settings: Which clips.
        cache: Folder to keep them in.
    """
    path = cache / f"{settings.key}.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        arrays = _render(settings)
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)
    with np.load(path) as file:
        return {
            split: LabelledClips(file[f"{split}_clips"], file[f"{split}_labels"])
            for split in ("train", "test")
        }


def _render(settings: ClipSet) -> dict[str, np.ndarray]:
    folder = Path(tempfile.mkdtemp())
    try:
        render_benchmark(
            folder,
            track=settings.track.removeprefix("whole "),
            classes=settings.class_names,
            clips_per_class={"train": settings.train, "test": settings.test},
            size=settings.size,
            num_frames=settings.frames,
            fps=settings.fps,
            camera=settings.camera,
            seed=settings.seed,
            processes=1,
        )
        return _decode(folder, settings.class_names)
    finally:
        shutil.rmtree(folder)


def _decode(folder: Path, class_names: tuple[str, ...]) -> dict[str, np.ndarray]:
    arrays = {}
    for split in ("train", "test"):
        clips, labels = [], []
        for label, name in enumerate(class_names):
            for path in sorted((folder / split / name).glob("*.mp4")):
                clips.append(np.stack([frame for _, frame in iterate_frames(path)]))
                labels.append(label)
        arrays[f"{split}_clips"] = np.stack(clips)
        arrays[f"{split}_labels"] = np.array(labels, "int32")
    return arrays
