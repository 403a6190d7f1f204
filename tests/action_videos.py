"""Tiny labelled videos for tests: a bright square that moves right, left or down."""

from pathlib import Path

import numpy as np

from tests.video_files import write_video

MOTIONS = {"down": (1, 0), "left": (0, -1), "right": (0, 1)}


def moving_square(
    motion: str, seed: int, *, num_frames: int = 12, size: int = 32
) -> np.ndarray:
    """A textured square on a dark ground, moving one pixel a frame.

    Returns:
        uint8 RGB, shape `(num_frames, size, size, 3)`.
    """
    rng = np.random.default_rng(seed)
    rows, columns = MOTIONS[motion]
    start = rng.integers(0, size, 2)
    square = rng.integers(120, 256, (size // 2, size // 2, 3)).astype(np.uint8)
    frames = np.full((num_frames, size, size, 3), 30, np.uint8)
    for t, frame in enumerate(frames):
        frame[: size // 2, : size // 2] = square
        shift = (start[0] + t * rows, start[1] + t * columns)
        frames[t] = np.roll(frame, shift, axis=(0, 1))
    return frames


def write_action_videos(
    folder: Path, *, videos: int = 3, fps: float = 12.0, **kwargs
) -> Path:
    """Writes `folder/MOTION/k.mp4`, `videos` of each motion.

    Returns:
        The folder.
    """
    for number, motion in enumerate(MOTIONS):
        (folder / motion).mkdir(parents=True, exist_ok=True)
        for k in range(videos):
            # Other squares in each folder, e.g. in each split.
            seed = sum(map(ord, folder.name)) + 100 * number + k
            frames = moving_square(motion, seed, **kwargs)
            write_video(folder / motion / f"{k}.mp4", frames, fps=fps)
    return folder
