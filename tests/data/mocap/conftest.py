"""Stand-ins for the fetched recordings and backdrops, so that tests need no network."""

import json

import numpy as np
import pytest

from keras_dynamonet.data.mocap import backdrops, clips
from keras_dynamonet.data.mocap.motions import QUATERNION_STARTS, Motion, parse_motion


def motion_rows(keys: int = 9, seconds: float = 0.1) -> np.ndarray:
    """Key frames `(keys, 44)` of somebody striding along x with stiff limbs."""
    rows = np.zeros((keys, 44))
    rows[:, 0] = seconds
    rows[:, 1] = np.linspace(0, 1, keys)
    rows[:, 2] = 0.87
    for first in QUATERNION_STARTS:
        rows[:, first + 1] = 1
    swing = 0.5 * np.sin(np.linspace(0, 2 * np.pi, keys))
    for first, sign in ((15, 1), (29, -1)):  # the hips, about z
        rows[:, first + 1] = np.cos(swing / 2)
        rows[:, first + 4] = sign * np.sin(swing / 2)
    return rows


def write_motion(path, rows, loop="wrap"):
    path.write_text(json.dumps({"Loop": loop, "Frames": np.asarray(rows).tolist()}))
    return path


@pytest.fixture
def striding(tmp_path) -> Motion:
    return parse_motion(write_motion(tmp_path / "walk.txt", motion_rows()), "walk")


@pytest.fixture
def stand_ins(monkeypatch, striding):
    """Every motion is `striding`, every backdrop video is a row of coloured blocks."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
    picture = blocks.repeat(4, axis=0).repeat(4, axis=1)
    frames = {number: picture for number in range(0, 250, 6)}
    monkeypatch.setattr(backdrops, "_frames", lambda name: frames)
    monkeypatch.setattr(clips, "_motion", lambda name: striding)
