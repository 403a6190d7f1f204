"""Floor, wall and shadows: everything in the picture but the person."""

import dataclasses

import cv2
import numpy as np

from keras_dynamonet.data.mocap.camera import CameraPath
from keras_dynamonet.data.mocap.ray_caster import camera_rays
from keras_dynamonet.data.mocap.scene import Scene

_TEXTURE_SIDE = 256
_FARTHEST_METRES = 60.0
_SHADOW_PIXELS_PER_METRE = 24
_PICTURE_MARGIN = 1.15  # the wall picture is a little wider than the view


@dataclasses.dataclass(frozen=True)
class Background:
    """Pixels without the person.

    Args:
        colours: `(views, size, size, 3)` float32; one view serves all frames if the
            camera stands still.
        floor: `(views, size, size, 2)` float32, where on the floor (x, z in metres) a
            pixel looks; far away where it does not.
    """

    colours: np.ndarray
    floor: np.ndarray


def render_background(
    scene: Scene,
    camera: CameraPath,
    points: np.ndarray,
    size: int,
    rng: np.random.Generator,
) -> Background:
    """Renders floor and wall for every view of a camera.

    Args:
        scene: What has been drawn.
        camera: The camera over all frames.
        points: `(frames, points, 3)` points of the person; the wall stands behind them.
        size: Pixels along a side.
        rng: Source of the textures.
    """
    views = len(camera.eye) if camera.moves else 1
    eye, axes = camera.eye[:views], camera.axes[:views]
    rays = camera_rays(size, camera.tan_half_view)
    rays = rays @ axes.astype(np.float32)  # (views, pixels, 3)
    eye = eye[:, None].astype(np.float32)
    floor_distance = np.where(
        rays[..., 1] < -1e-3, -eye[..., 1] / np.minimum(rays[..., 1], -1e-3), np.inf
    )
    middle = len(camera.axes) // 2
    level = camera.axes[middle, 2] * (1, 0, 1)
    level = (level / np.linalg.norm(level)).astype(np.float32)
    sideways = camera.axes[middle, 0].astype(np.float32)
    wall_at = np.float32((points @ level).max() + scene.wall_gap_metres)
    wall_distance = (wall_at - eye @ level) / np.maximum(rays @ level, 0.05)
    on_floor = floor_distance < wall_distance
    floor_distance = np.minimum(floor_distance, _FARTHEST_METRES)
    floor = eye[..., ::2] + floor_distance[..., None] * rays[..., ::2]

    across = eye @ sideways + wall_distance * (rays @ sideways)
    height = eye[..., 1] + wall_distance * rays[..., 1]
    colours = _wall(scene, across, height, size, rng)
    if scene.has_floor:
        texture = _cloud(rng)
        colours[on_floor] = _floor(scene, floor[on_floor], texture)
    shape = (views, size, size)
    floor = np.where(on_floor[..., None], floor, 1e4)
    return Background(colours.reshape(*shape, 3), floor.reshape(*shape, 2))


def cast_shadows(
    background: Background,
    starts: np.ndarray,
    ends: np.ndarray,
    radii: np.ndarray,
    scene: Scene,
) -> np.ndarray:
    """The background under the shadow of the person.

    The shadow of each part is a thick line on the floor. It is drawn into a map of the
    floor, blurred as by a light of some width, and looked up at every pixel.

    Args:
        background: The background without shadows.
        starts: `(frames, parts, 3)` start points of the parts in the world.
        ends: The same of the other ends.
        radii: `(parts, 2)`.
        scene: Its light and the depth of the shadow.

    Returns:
        `(frames, size, size, 3)` float32.
    """
    light = np.array(scene.light)
    slant = light / light[1]
    flat = np.stack([starts, ends], axis=2)  # (frames, parts, 2, 3)
    flat = (flat - flat[..., 1:2] * slant)[..., ::2]
    corner = flat.min(axis=(0, 1, 2)) - 0.5
    scale = _SHADOW_PIXELS_PER_METRE
    width, depth = np.ceil((np.ptp(flat, axis=(0, 1, 2)) + 1) * scale).astype(int)
    lines = np.round((flat - corner) * scale * 16).astype(np.int32)  # 1/16 pixels
    thickness = np.maximum(np.round(2 * radii.mean(axis=1) * scale), 1).astype(int)
    lookup = ((background.floor - corner) * scale).astype(np.float32)
    frames = len(starts)
    shaded = np.empty((frames, *background.colours.shape[1:]), np.float32)
    for frame in range(frames):
        shadow = np.zeros((depth, width), np.float32)
        for (start, end), pixels in zip(lines[frame], thickness, strict=True):
            cv2.line(
                shadow, start.tolist(), end.tolist(), 1.0, int(pixels), cv2.LINE_8, 4
            )
        shadow = cv2.GaussianBlur(shadow, (0, 0), 0.05 * scale)
        view = frame % len(background.colours)
        there = cv2.remap(
            shadow, lookup[view], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        shade = 1 - np.float32(scene.shadow) * there
        np.multiply(background.colours[view], shade[..., None], out=shaded[frame])
    return shaded


def _wall(
    scene: Scene,
    across: np.ndarray,
    height: np.ndarray,
    size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Colours `(views, pixels, 3)` of the wall at places on it in metres.

    The picture covers what the middle view shows of the wall, mirrored on beyond.
    """
    middle = len(across) // 2
    extent = np.ptp(across[middle]) * _PICTURE_MARGIN
    left = across[middle].mean() - extent / 2
    bottom = height[middle].min()
    if scene.has_floor:
        bottom = max(bottom, 0.0)
        extent = max(extent, np.ptp(height[middle]) * 0.8)
    if scene.backdrop is None:
        cloud = _cloud(rng)[..., None]
        first, second = np.array(scene.wall_colours, np.float32)
        picture = first * cloud + second * (1 - cloud)
    else:
        picture = scene.backdrop.picture().astype(np.float32) / 255
        sigma = scene.backdrop_blur * len(picture) + 0.1
        picture = cv2.GaussianBlur(picture, (0, 0), sigma)
        mean = picture.mean(axis=(0, 1))
        picture = mean + np.float32(scene.backdrop_contrast) * (picture - mean)
    side = len(picture) - 1
    x = (across - left) / extent * side
    y = side - (height - bottom) / extent * side
    return np.stack(
        [
            cv2.remap(
                picture,
                *(axis.reshape(size, size).astype(np.float32) for axis in view),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT_101,
            ).reshape(-1, 3)
            for view in zip(x, y, strict=True)
        ]
    )


def _floor(scene: Scene, places: np.ndarray, cloud: np.ndarray) -> np.ndarray:
    """Colours `(points, 3)` of the floor at places `(points, 2)` in metres."""
    x, z = (places / np.float32(scene.floor_scale_metres)).T
    column, row = ((axis * 40).astype(np.int32) % _TEXTURE_SIDE for axis in (x, z))
    mix = cloud[column, row]
    if scene.floor_pattern == "tiles":
        tile = (np.floor(x) + np.floor(z)) % 2
        mix = 0.6 * tile + 0.4 * mix
    elif scene.floor_pattern == "planks":
        plank = cloud[np.floor(x).astype(np.int32) * 37 % _TEXTURE_SIDE, 0]
        mix = 0.75 * plank + 0.25 * mix
    first, second = np.array(scene.floor_colours, np.float32)
    return first + mix[:, None].astype(np.float32) * (second - first)


def _cloud(rng: np.random.Generator) -> np.ndarray:
    """Smooth noise over five octaves, `(256, 256)` float32 in [0, 1]."""
    cloud = np.zeros((_TEXTURE_SIDE, _TEXTURE_SIDE), np.float32)
    for octave in range(5):
        cells = 4 * 2**octave
        grid = rng.random((cells, cells), dtype=np.float32)
        cloud += (
            cv2.resize(grid, cloud.shape, interpolation=cv2.INTER_CUBIC) / 2**octave
        )
    cloud -= cloud.min()
    return cloud / cloud.max()
