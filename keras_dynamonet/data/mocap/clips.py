"""One clip: its draws, its frames, its summary. Pure functions of a few integers."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from keras_dynamonet.data.mocap.camera import (
    CameraPath,
    Viewpoint,
    draw_viewpoint,
    person_share,
    place_camera,
)
from keras_dynamonet.data.mocap.classes import ACTIONS, Action
from keras_dynamonet.data.mocap.kinematics import Body, body_cones
from keras_dynamonet.data.mocap.motions import Motion, load_motions
from keras_dynamonet.data.mocap.renderer import readability, render_frames
from keras_dynamonet.data.mocap.scene import SPLITS, Scene, draw_scene

MIN_PERSON_SHARE = 0.5
MIN_READABILITY = 0.8
_MAX_DRAWS = 16

# Numbers that separate the independent random streams of one clip.
_TIMES, _VIEWPOINT, _SHAKE, _SCENE, _PIXELS = range(5)


@dataclasses.dataclass(frozen=True)
class ClipParameters:
    """What all clips of a benchmark share.

    Args:
        size: Pixels along a side.
        num_frames: Frames in a clip.
        fps: Frames a second.
        camera: `"still"`, `"following"`, `"shaking"` or `"mixed"`.
        seed: Seed of every draw.
    """

    size: int
    num_frames: int
    fps: float
    camera: str
    seed: int


def render_clip(
    parameters: ClipParameters, split: str, motion: str, index: int
) -> tuple[np.ndarray, dict]:
    """Renders one clip in the order of the recording.

    The clip of the reversed class is the same array read backwards. So a motion and its
    reversal show the very same frames, noise included: whatever looks at single frames,
    or at all frames in any order, gives both the same answer.

    Args:
        parameters: Shared by all clips.
        split: A key of `SPLITS`.
        motion: A key of `ACTIONS`.
        index: Number of the clip within its class and split.

    Returns:
        `(num_frames, size, size, 3)` uint8 RGB, and a summary of the draws for JSON.

    Example:

    ```python
    parameters = ClipParameters(64, 20, 12.0, "still", seed=0)
    frames, summary = render_clip(parameters, "train", "walk", 0)
    print(frames.shape)  # (20, 64, 64, 3)
    ```
    """
    key = (
        parameters.seed,
        list(SPLITS).index(split),
        list(ACTIONS).index(motion),
        index,
    )

    def stream(*purpose: int) -> np.random.Generator:
        return np.random.default_rng([*key, *purpose])

    recording, action = _motion(motion), ACTIONS[motion]
    times = draw_times(stream(_TIMES), recording, action, parameters)
    poses = recording.poses_at(times)
    # One camera for all draws of the scene: builds differ by less than its margin.
    points = np.concatenate(body_cones(poses, Body(1.0, 1.0))[:2], axis=1)
    viewpoint, camera = _draw_camera(
        stream, parameters, split, points, crossing=not action.span_seconds
    )
    scene, score = _draw_readable_scene(stream, split, poses, camera)
    frames = render_frames(poses, scene, camera, parameters.size, stream(_PIXELS))
    return frames, _summary(
        scene, viewpoint, times, score, person_share(camera, points)
    )


def draw_times(
    rng: np.random.Generator,
    motion: Motion,
    action: Action,
    parameters: ClipParameters,
) -> np.ndarray:
    """Times in the recording, in seconds, of the frames of a clip: `(num_frames,)`.

    The stretch holds all of the action, or lies within it if it is shorter; of a motion
    that does not repeat, it stays within the recording as long as it is not longer.
    """
    speed = rng.uniform(*action.speeds)
    steps = np.arange(parameters.num_frames) / parameters.fps * speed
    length, duration = steps[-1], motion.duration_seconds
    first, last = action.span_seconds or (0.0, duration + length)
    bounds = np.array(sorted((last - length, first)))
    if not motion.cyclic:
        bounds = np.clip(bounds, *sorted((0.0, duration - length)))
    return rng.uniform(*bounds) + steps


def _draw_camera(
    stream: Callable[..., np.random.Generator],
    parameters: ClipParameters,
    split: str,
    points: np.ndarray,
    *,
    crossing: bool,
) -> tuple[Viewpoint, CameraPath]:
    """The first camera that shows the person large, or else the one that does best.

    A still camera must see most of the path, so that for a runner this prefers views
    from ahead and from behind.
    """
    best = (-1.0, None, None)
    for draw in range(_MAX_DRAWS):
        viewpoint = draw_viewpoint(
            stream(_VIEWPOINT, draw), parameters.camera, SPLITS[split].bearings_degrees
        )
        camera = place_camera(
            viewpoint, points, parameters.fps, stream(_SHAKE), crossing=crossing
        )
        share = person_share(camera, points)
        if share > best[0]:
            best = (share, viewpoint, camera)
        if share >= MIN_PERSON_SHARE:
            break
    return best[1:]


def _draw_readable_scene(
    stream: Callable[..., np.random.Generator],
    split: str,
    poses: np.ndarray,
    camera: CameraPath,
) -> tuple[Scene, float]:
    """The first scene that can be read well, or else the best, and how well."""
    best = (None, -1.0)
    for draw in range(_MAX_DRAWS):
        scene = draw_scene(stream(_SCENE, draw), SPLITS[split])
        score = readability(poses, scene, camera, stream(_PIXELS))
        if score > best[1]:
            best = (scene, score)
        if score >= MIN_READABILITY:
            break
    return best


@functools.cache
def _motion(name: str) -> Motion:
    return load_motions((name,))[name]


def _summary(
    scene: Scene, viewpoint: Viewpoint, times: np.ndarray, score: float, share: float
) -> dict:
    return {
        "start_seconds": round(float(times[0]), 4),
        "end_seconds": round(float(times[-1]), 4),
        "camera": viewpoint.style,
        "bearing_degrees": round(viewpoint.bearing_degrees, 2),
        "elevation_degrees": round(viewpoint.elevation_degrees, 2),
        "backdrop": scene.backdrop.shot if scene.backdrop else "painted",
        "girth": round(scene.body.girth, 3),
        "shirt": scene.colours["shirt"],
        "trousers": scene.colours["trousers"],
        "person_share": round(share, 3),
        "readability": round(score, 3),
    }
