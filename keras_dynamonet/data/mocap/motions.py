"""The fifteen recorded human motions: where they come from, and poses at any time.

The recordings are the motion-capture clips that the `pybullet` package redistributes
under the zlib licence. A recording is a list of key frames of 44 numbers: how long the
frame lasts, the position of the root, and the rotations of the root and of twelve
joints. `Motion.poses_at` interpolates between key frames and continues cyclic motions
without end.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np

from keras_dynamonet.data.mocap.wheel_files import WheelFiles, fetch_wheel_files
from keras_dynamonet.errors import UserError

POSE_SIZE = 43

# Where the quaternions (w, x, y, z) start: root, chest, neck, right hip, right
# ankle, right shoulder, left hip, left ankle, left shoulder.
QUATERNION_STARTS = (3, 7, 11, 15, 20, 24, 29, 34, 38)

# The wheels carry the motions for every platform; one wheel is named so that the
# download works on any Python, also those that pybullet has no wheel for.
MOTION_FILES = WheelFiles(
    package="pybullet",
    version="3.2.7",
    folder="pybullet_data/data/motions",
    sha256={
        f"humanoid3d_{name}.txt": digest
        for name, digest in {
            "backflip": (
                "ffc5e117f69364e239eeedc86d6a30ab854500a375a1c137a405f1b7652905e6"
            ),
            "cartwheel": (
                "17453459a40ec4ea08346072748ae3c7c384b49e619753e9779637fa8a9f7c49"
            ),
            "crawl": (
                "104a3b675131a43e7a214e24c0ed631c6a0d814b85c8b66b71ce63b23a5731ae"
            ),
            "dance_a": (
                "15ef3731f594edc9ed078170f1075815cc164acaca9e35a46db12a31ac64b717"
            ),
            "dance_b": (
                "b5a9d7a3f2304f6242776d7ff6d19d1f6bcb98d78d68622761c3843b614a92b5"
            ),
            "getup_facedown": (
                "1bd1a96e9175f65eb66e10f225473b4467bd70c68e283f4006b2ab090e337c0b"
            ),
            "getup_faceup": (
                "5936c32d51dad9b0cd5e61df681079d160436cdce845c312f200d7a347c4040d"
            ),
            "jump": (
                "a433557e94b193d8a95530572a0e32f387eb6d9996987b4216efb65444c3c641"
            ),
            "kick": (
                "177cfb399466309ba7f4a8a987c3b6f6edde1cbe8b2d476e53dc6061ec5d4bac"
            ),
            "punch": (
                "1ab4b654cecdb4ff3b2a4bf4086e50397bef28435bb59ab3aedd6a6bdc926fde"
            ),
            "roll": (
                "50d75c2243b2859f8dcae4ad8fa14b59054dd9ee529b4fb52ec14470cd982c55"
            ),
            "run": ("2cbe488023b243e5769299158ce7c78875ec4b701a2ffe6c0beeaf83d16ca87b"),
            "spin": (
                "9614f10b92e7a8b123990ad5bcfafc65aa4d8fa8ac7f10ade3c3591122d34425"
            ),
            "spinkick": (
                "60ec9c200d96e0cd71693061f24db0bd8da9eb295daf487f6f60f8dfb324075a"
            ),
            "walk": (
                "32d082c3599bc40aac50b1afa196ff1e2cf3842bb40f0541ab088845f6328a41"
            ),
        }.items()
    },
    pip_options=(
        *("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
        *("--platform", "manylinux2014_x86_64"),
    ),
)


@dataclasses.dataclass(frozen=True)
class Motion:
    """One recording.

    Args:
        name: E.g. `"walk"`.
        times: `(keys,)` seconds, from zero, rising.
        poses: `(keys, 43)`: root position in metres (y is up), then rotations.
            Quaternions keep their sign from key to key.
        cyclic: Whether the last key continues at the first.
    """

    name: str
    times: np.ndarray
    poses: np.ndarray
    cyclic: bool

    @property
    def duration_seconds(self) -> float:
        return float(self.times[-1])

    def poses_at(self, times_seconds: np.ndarray) -> np.ndarray:
        """Poses at arbitrary times.

        Before the start and after the end a cyclic motion repeats, walking on over the
        ground; any other holds its first or last pose.

        Args:
            times_seconds: `(frames,)`.

        Returns:
            `(frames, 43)` float64, quaternions of length one.
        """
        times = np.asarray(times_seconds, float)
        cycles = np.zeros(len(times))
        if self.cyclic:
            cycles = np.floor(times / self.duration_seconds)
            times = times - cycles * self.duration_seconds
        times = np.clip(times, 0, self.duration_seconds)
        after = np.clip(np.searchsorted(self.times, times), 1, len(self.times) - 1)
        start, stop = self.times[after - 1], self.times[after]
        weight = ((times - start) / (stop - start))[:, None]
        poses = (1 - weight) * self.poses[after - 1] + weight * self.poses[after]
        for first in QUATERNION_STARTS:
            quaternion = poses[:, first : first + 4]
            quaternion /= np.linalg.norm(quaternion, axis=1, keepdims=True)
        travel = self.poses[-1, :3] - self.poses[0, :3]
        poses[:, :3] += cycles[:, None] * travel * (1, 0, 1)
        return poses


def parse_motion(path: Path, name: str) -> Motion:
    """Reads one motion file.

    Args:
        path: A JSON file with `"Loop"` (`"wrap"` or `"none"`) and `"Frames"`, rows of
            44 numbers: seconds until the next row, then a pose.
        name: Name of the motion.

    Raises:
        UserError: The file is not of this form.
    """
    try:
        document = json.loads(path.read_text())
        rows = np.array(document["Frames"], float)
        cyclic = document["Loop"] == "wrap"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a motion file ({error}).") from error
    if rows.ndim != 2 or rows.shape[1] != POSE_SIZE + 1 or len(rows) < 2:
        raise UserError(
            f"{path}: a motion file has at least 2 rows of {POSE_SIZE + 1} numbers. "
            f"Received: shape={rows.shape}."
        )
    times = np.concatenate([[0], np.cumsum(rows[:-1, 0])])
    poses = rows[:, 1:].copy()
    for first in QUATERNION_STARTS:
        _keep_sign(poses[:, first : first + 4])
    if cyclic:
        _close_cycle(times, poses)
    return Motion(name, times, poses, cyclic)


def load_motions(names: tuple[str, ...]) -> dict[str, Motion]:
    """Fetches (at first use) and reads the named recordings."""
    folder = fetch_wheel_files(MOTION_FILES)
    return {
        name: parse_motion(folder / f"humanoid3d_{name}.txt", name) for name in names
    }


def _keep_sign(quaternions: np.ndarray) -> None:
    """Negates quaternions in place so that neighbours lie in one half space."""
    turns = np.einsum("ij,ij->i", quaternions[1:], quaternions[:-1]) < 0
    quaternions[1:] *= np.where(np.cumsum(turns) % 2, -1, 1)[:, None]


def _close_cycle(times: np.ndarray, poses: np.ndarray) -> None:
    """Makes the last pose equal the first, in place, except for the way travelled.

    The recordings return to nearly the same pose; the rest is blended in over the last
    third of the cycle, lest the person twitches at the seam.
    """
    gap = poses[0] - poses[-1]
    for first in QUATERNION_STARTS:
        start, stop = poses[0, first : first + 4], poses[-1, first : first + 4]
        if start @ stop < 0:
            gap[first : first + 4] = -start - stop
    gap[[0, 2]] = 0
    ramp = np.clip(3 * times / times[-1] - 2, 0, 1)
    poses += (ramp**2 * (3 - 2 * ramp))[:, None] * gap
