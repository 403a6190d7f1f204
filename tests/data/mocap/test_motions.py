import re

import numpy as np
import pytest

from keras_dynamonet.data.mocap.classes import ACTIONS
from keras_dynamonet.data.mocap.motions import (
    MOTION_FILES,
    QUATERNION_STARTS,
    parse_motion,
)
from keras_dynamonet.errors import UserError

from .conftest import motion_rows, write_motion


def test_key_frames_are_met_at_their_times(tmp_path):
    rows = motion_rows()
    rows[3, 0] = 0.3  # one frame lasts longer
    motion = parse_motion(write_motion(tmp_path / "m.txt", rows, "none"), "m")
    np.testing.assert_allclose(motion.times, np.r_[0, rows[:-1, 0].cumsum()])
    np.testing.assert_allclose(motion.poses_at(motion.times), rows[:, 1:], atol=1e-12)
    assert motion.duration_seconds == pytest.approx(1.0)


def test_interpolated_quaternions_have_length_one(striding):
    poses = striding.poses_at(np.linspace(-1, 3, 50))
    for first in QUATERNION_STARTS:
        lengths = np.linalg.norm(poses[:, first : first + 4], axis=1)
        np.testing.assert_allclose(lengths, 1)


def test_cyclic_motion_walks_on(striding):
    times = np.array([0.0, 0.25, 0.5])
    first = striding.poses_at(times)
    later = striding.poses_at(times + 2 * striding.duration_seconds)
    np.testing.assert_allclose(later[:, 0], first[:, 0] + 2)  # 1 metre a cycle
    np.testing.assert_allclose(later[:, 1:], first[:, 1:], atol=1e-12)


def test_other_motions_hold_their_ends(tmp_path):
    motion = parse_motion(write_motion(tmp_path / "m", motion_rows(), "none"), "m")
    held = motion.poses_at(np.array([-5.0, 0.0, motion.duration_seconds, 99.0]))
    np.testing.assert_array_equal(held[0], held[1])
    np.testing.assert_array_equal(held[2], held[3])


def test_negated_quaternions_mean_the_same(tmp_path, striding):
    rows = motion_rows()
    rows[4:, 4:8] *= -1
    rows[6:, 16:20] *= -1
    motion = parse_motion(write_motion(tmp_path / "m", rows), "m")
    times = np.linspace(0, 0.79, 33)
    np.testing.assert_allclose(
        motion.poses_at(times), striding.poses_at(times), atol=1e-9
    )


def test_cycle_is_closed_without_a_jump(tmp_path):
    rows = motion_rows()
    rows[:, 2] += np.linspace(0, 0.1, len(rows))  # ends higher than it began
    motion = parse_motion(write_motion(tmp_path / "m", rows), "m")
    np.testing.assert_allclose(motion.poses[-1, 1:], motion.poses[0, 1:], atol=1e-12)
    np.testing.assert_allclose(motion.poses[:5], rows[:5, 1:])  # the rest is untouched


@pytest.mark.parametrize(
    "content",
    ["no json", '{"Loop": "wrap"}', '{"Loop": "wrap", "Frames": [["a"]]}', "[]"],
)
def test_rejects_what_is_no_motion(tmp_path, content):
    path = tmp_path / "m.txt"
    path.write_text(content)
    with pytest.raises(UserError, match="not a motion file"):
        parse_motion(path, "m")


def test_rejects_rows_of_another_length(tmp_path):
    path = write_motion(tmp_path / "m.txt", np.zeros((3, 7)))
    message = re.escape("2 rows of 44 numbers. Received: shape=(3, 7)")
    with pytest.raises(UserError, match=message):
        parse_motion(path, "m")


def test_every_motion_has_a_recording():
    assert set(MOTION_FILES.sha256) == {f"humanoid3d_{name}.txt" for name in ACTIONS}
