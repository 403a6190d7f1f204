"""From poses, a scene and a camera to the frames of a clip."""

import cv2
import numpy as np

from keras_dynamonet.data.mocap.background import cast_shadows, render_background
from keras_dynamonet.data.mocap.camera import CameraPath
from keras_dynamonet.data.mocap.kinematics import GARMENTS, body_cones
from keras_dynamonet.data.mocap.ray_caster import Hits, cast_cones
from keras_dynamonet.data.mocap.scene import Scene

_SUPERSAMPLING = 2
_AMBIENT = 0.45
_STRIPES = 5
_PREVIEW_SIZE = 48
_PREVIEW_FRAMES = 3
_VISIBLE_DIFFERENCE = 0.13  # mean over the channels, of 1


def render_frames(
    poses: np.ndarray,
    scene: Scene,
    camera: CameraPath,
    size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Renders a clip.

    Args:
        poses: `(frames, 43)`.
        scene: Person, light and surroundings.
        camera: Camera over the same frames.
        size: Pixels along a side.
        rng: Source of textures and sensor noise.

    Returns:
        `(frames, size, size, 3)` uint8 RGB.
    """
    painted, _, _ = _paint(poses, scene, camera, size * _SUPERSAMPLING, rng)
    frames = np.stack(
        [
            cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA)
            for frame in painted
        ]
    )
    frames *= np.float32(scene.exposure)
    frames += np.float32(scene.noise) * rng.standard_normal(frames.shape, np.float32)
    if scene.mirrored:
        frames = frames[:, :, ::-1]
    return (np.clip(frames, 0, 1) * 255 + 0.5).astype(np.uint8)


def readability(
    poses: np.ndarray, scene: Scene, camera: CameraPath, rng: np.random.Generator
) -> float:
    """How well the person stands out from what is behind it, from 0 to 1.

    Measured on small renderings of three frames: the share of the person's pixels that
    differ visibly from the background in the same place, for the whole person and for
    trousers and shirt apart, whichever is least.

    Args:
        poses: `(frames, 43)`.
        scene: Person, light and surroundings.
        camera: Camera over the same frames.
        rng: Source of the textures, in the state that rendering will start from.
    """
    chosen = np.linspace(0, len(poses) - 1, _PREVIEW_FRAMES + 2)[1:-1].astype(int)
    painted, behind, hits = _paint(
        poses[chosen], scene, camera.frames(chosen.tolist()), _PREVIEW_SIZE, rng
    )
    difference = np.abs(painted - behind).mean(axis=3).reshape(-1)
    visible = difference > _VISIBLE_DIFFERENCE
    worn = np.array(GARMENTS)[hits.part]
    person = hits.part >= 0
    masks = [person, *(person & (worn == name) for name in ("shirt", "trousers"))]
    return float(min(visible[mask].mean() if mask.any() else 0.0 for mask in masks))


def _paint(
    poses: np.ndarray,
    scene: Scene,
    camera: CameraPath,
    size: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, Hits]:
    """Frames with and without the person `(frames, size, size, 3)`, and the hits."""
    starts, ends, radii = body_cones(poses, scene.body)
    background = render_background(scene, camera, starts, size, rng)
    behind = cast_shadows(background, starts, ends, radii, scene)
    hits = cast_cones(
        camera.to_camera(starts),
        camera.to_camera(ends),
        radii,
        size,
        camera.tan_half_view,
    )
    painted = behind.copy()
    _paint_person(painted.reshape(-1, 3), hits, scene, camera)
    return painted, behind, hits


def _paint_person(
    pixels: np.ndarray, hits: Hits, scene: Scene, camera: CameraPath
) -> None:
    """Shades the hit pixels in place: ambient light plus light by Lambert's law."""
    met = np.flatnonzero(hits.part >= 0)
    part = hits.part[met]
    light = (camera.axes @ np.array(scene.light)).astype(np.float32)
    frame = met // (len(pixels) // len(light))
    facing = np.einsum("ij,ij->i", hits.normal[met], light[frame])
    colour = np.array([scene.colours[name] for name in GARMENTS], np.float32)[part]
    if scene.striped:
        shirt = np.array([name == "shirt" for name in GARMENTS])[part]
        band = (hits.along[met] * _STRIPES).astype(int) % 2 == 1
        colour[shirt & band] *= 0.45
    shade = _AMBIENT + (1 - _AMBIENT) * np.maximum(facing, 0)
    pixels[met] = colour * shade[:, None]
