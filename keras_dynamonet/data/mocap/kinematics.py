"""From a pose to a body: forward kinematics, and the rounded cones that clothe it.

The skeleton has twelve joints below a root at the hips. A body is a list of rounded
cones (two spheres and the hull around them) fixed to the joints; width and girth change
from person to person, the lengths of the bones do not, so that feet stay on the floor.
"""

import dataclasses

import numpy as np

# joint: (parent, offset in the parent's frame in metres, start of its rotation in the
# pose, numbers of that rotation: 4 = quaternion, 1 = angle of a hinge, 0 = fixed)
JOINTS = {
    "root": (None, (0, 0, 0), 3, 4),
    "chest": ("root", (0, 0.236151, 0), 7, 4),
    "neck": ("chest", (0, 0.223894, 0), 11, 4),
    "right_hip": ("root", (0, 0, 0.084887), 15, 4),
    "right_knee": ("right_hip", (0, -0.421546, 0), 19, 1),
    "right_ankle": ("right_knee", (0, -0.409870, 0), 20, 4),
    "right_shoulder": ("chest", (-0.02405, 0.2435, 0.18311), 24, 4),
    "right_elbow": ("right_shoulder", (0, -0.274788, 0), 28, 1),
    "right_wrist": ("right_elbow", (0, -0.258947, 0), 0, 0),
    "left_hip": ("root", (0, 0, -0.084887), 29, 4),
    "left_knee": ("left_hip", (0, -0.421546, 0), 33, 1),
    "left_ankle": ("left_knee", (0, -0.409870, 0), 34, 4),
    "left_shoulder": ("chest", (-0.02405, 0.2435, -0.18311), 38, 4),
    "left_elbow": ("left_shoulder", (0, -0.274788, 0), 42, 1),
    "left_wrist": ("left_elbow", (0, -0.258947, 0), 0, 0),
}

# part: (garment, joint, offset, joint, offset, radius at the first end, at the second).
# x points ahead, y up, z to the person's right; metres. Garments that end in "_cloth"
# scale with the girth of the person.
_TRUNK = (
    ("trousers", "root", (0, 0.03, 0.06), "root", (0, 0.03, -0.06), 0.085, 0.085),
    ("shirt", "root", (0, 0.06, 0), "chest", (0, 0.09, 0), 0.09, 0.105),
    ("shirt", "chest", (0, 0.17, 0.11), "chest", (0, 0.17, -0.11), 0.07, 0.07),
    ("skin", "neck", (0, -0.03, 0), "neck", (0, 0.09, 0), 0.043, 0.043),
    ("hair", "neck", (-0.018, 0.195, 0), "neck", (-0.014, 0.16, 0), 0.092, 0.09),
    ("skin", "neck", (0.024, 0.165, 0), "neck", (0.026, 0.12, 0), 0.08, 0.066),
)
_LIMBS = (
    ("shirt", "shoulder", (0, 0, 0), "elbow", (0, 0, 0), 0.054, 0.043),
    ("forearm", "elbow", (0, 0, 0), "wrist", (0, 0, 0), 0.042, 0.031),
    ("skin", "wrist", (0, 0, 0), "wrist", (0, -0.055, 0), 0.037, 0.031),
    ("trousers", "hip", (0, 0, 0), "knee", (0, 0, 0), 0.078, 0.056),
    ("shin", "knee", (0, 0, 0), "ankle", (0, 0, 0), 0.055, 0.038),
    ("shoe", "ankle", (-0.02, -0.02, 0), "ankle", (0.12, -0.03, 0), 0.042, 0.033),
)
_SLIM_GARMENTS = ("skin", "hair", "shoe")  # not thicker on a stout person

PARTS = _TRUNK + tuple(
    (garment, f"{side}_{first}", at_first, f"{side}_{second}", at_second, *radii)
    for side in ("right", "left")
    for garment, first, at_first, second, at_second, *radii in _LIMBS
)
GARMENTS = tuple(part[0] for part in PARTS)


@dataclasses.dataclass(frozen=True)
class Body:
    """How one person is built.

    Args:
        width: Factor on the distance between the shoulders and between the hips.
        girth: Factor on the thickness of trunk and limbs.
    """

    width: float
    girth: float


def body_cones(
    poses: np.ndarray, body: Body
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rounded cones of a person in a series of poses.

    Args:
        poses: `(frames, 43)`, see `keras_dynamonet.data.mocap.motions`.
        body: The person.

    Returns:
        Start points and end points, both `(frames, parts, 3)` in metres in the world
        (y up, floor at 0), and radii `(parts, 2)`.

    Example:

    ```python
    starts, ends, radii = body_cones(motion.poses_at(times), Body(1.0, 1.0))
    print(starts.shape)  # (16, 18, 3)
    ```
    """
    positions, rotations = _joint_frames(poses, body.width)
    widen = np.array([1, 1, body.width])
    starts, ends = (
        np.stack(
            [
                positions[part[at]] + rotations[part[at]] @ (widen * part[at + 1])
                for part in PARTS
            ],
            axis=1,
        )
        for at in (1, 3)
    )
    radii = np.array([part[5:] for part in PARTS])
    stout = [garment not in _SLIM_GARMENTS for garment in GARMENTS]
    radii[stout] *= body.girth
    return starts, ends, radii


def _joint_frames(
    poses: np.ndarray, width: float
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Position `(frames, 3)` and rotation `(frames, 3, 3)` of every joint."""
    positions, rotations = {}, {}
    for joint, (parent, offset, first, numbers) in JOINTS.items():
        turn = _rotation(poses[:, first : first + numbers])
        if parent is None:
            positions[joint], rotations[joint] = poses[:, :3], turn
            continue
        offset = np.array(offset) * (1, 1, width)
        positions[joint] = positions[parent] + rotations[parent] @ offset
        rotations[joint] = rotations[parent] @ turn
    return positions, rotations


def _rotation(values: np.ndarray) -> np.ndarray:
    """Matrices `(frames, 3, 3)` of quaternions or of hinge angles (about z)."""
    if values.shape[1] == 0:
        return np.broadcast_to(np.eye(3), (len(values), 3, 3))
    if values.shape[1] == 1:
        half = values[:, 0] / 2
        w, z = np.cos(half), np.sin(half)
        x = y = np.zeros_like(half)
    else:
        w, x, y, z = values.T
    matrix = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    return matrix.transpose(2, 0, 1)
