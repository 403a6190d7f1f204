"""Where the camera stands and how it moves.

A camera is drawn in recorded time and every movement of it is a symmetric function of
time: the path of a following camera is smoothed forwards and backwards alike, and shake
is a stationary Gaussian process. So nothing but the person tells in which direction a
clip is played.
"""

import dataclasses

import numpy as np

CAMERA_STYLES = ("still", "following", "shaking")
MIXED = "mixed"  # one of the three, drawn per clip

_BODY_MARGIN_METRES = 0.13
_LOWEST_EYE_METRES = 0.25
_SMOOTHING_SECONDS = 0.35
_SHAKE_SECONDS = 0.25


@dataclasses.dataclass(frozen=True)
class Viewpoint:
    """What is drawn at random about a camera.

    Args:
        style: One of `CAMERA_STYLES`.
        bearing_degrees: Direction from the person to the camera, seen from above; 0 is
            the direction in which most motions travel.
        elevation_degrees: Height of the camera above the horizontal of the person.
        view_degrees: Angle of view.
        zoom: Distance relative to the nearest one from which everything fits.
        offset: Place of the person in the room that zoom leaves, right and up,
            both in -1 to 1.
        shake: Standard deviation of the shake as a share of the picture's side.
    """

    style: str
    bearing_degrees: float
    elevation_degrees: float
    view_degrees: float
    zoom: float
    offset: tuple[float, float]
    shake: float


@dataclasses.dataclass(frozen=True)
class CameraPath:
    """A camera over the frames of a clip.

    Args:
        eye: `(frames, 3)` positions in metres in the world.
        axes: `(frames, 3, 3)` unit rows right, up and ahead.
        tan_half_view: Tangent of half the angle of view.
        moves: False if all frames share one position and one set of axes.
    """

    eye: np.ndarray
    axes: np.ndarray
    tan_half_view: float
    moves: bool

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points `(frames, points, 3)` in coordinates right, up, ahead."""
        return (points - self.eye[:, None]) @ self.axes.transpose(0, 2, 1)

    def frames(self, indices: list[int]) -> "CameraPath":
        """The camera at some of the frames."""
        return dataclasses.replace(self, eye=self.eye[indices], axes=self.axes[indices])


def draw_viewpoint(
    rng: np.random.Generator, style: str, sectors: tuple[tuple[float, float], ...]
) -> Viewpoint:
    """Draws a viewpoint.

    Args:
        rng: Source of randomness.
        style: One of `CAMERA_STYLES` or `"mixed"`.
        sectors: Allowed bearings in degrees, within 0 to 180; the camera stands on
            either side of the person with equal chance.
    """
    if style == MIXED:
        style = str(rng.choice(CAMERA_STYLES))
    widths = np.array([stop - start for start, stop in sectors])
    start, stop = sectors[rng.choice(len(sectors), p=widths / widths.sum())]
    return Viewpoint(
        style=style,
        bearing_degrees=float(rng.uniform(start, stop) * rng.choice([-1, 1])),
        elevation_degrees=float(rng.uniform(3, 24)),
        view_degrees=float(rng.uniform(25, 45)),
        zoom=float(rng.uniform(1.0, 1.2)),
        offset=(float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1))),
        shake=float(rng.uniform(0.006, 0.02)) if style == "shaking" else 0.0,
    )


def place_camera(
    viewpoint: Viewpoint,
    points: np.ndarray,
    fps: float,
    rng: np.random.Generator,
    *,
    crossing: bool = False,
) -> CameraPath:
    """Places a camera as near as it can be to see the person in a clip.

    Args:
        viewpoint: What has been drawn.
        points: `(frames, points, 3)` points of the body in the world.
        fps: Frames a second, for the speed of shake and smoothing.
        rng: Source of the shake.
        crossing: Whether the person may be entering and leaving the picture in the
            first and last tenth of the frames, and so be larger in between.
    """
    bearing = np.deg2rad(viewpoint.bearing_degrees)
    elevation = np.deg2rad(viewpoint.elevation_degrees)
    level = np.array([np.cos(bearing), 0, np.sin(bearing)])
    ahead = -np.cos(elevation) * level - np.sin(elevation) * np.array([0, 1.0, 0])
    still_axes = _axes(ahead)
    tan_half_view = float(np.tan(np.deg2rad(viewpoint.view_degrees) / 2))
    frames = len(points)
    followed = np.zeros((frames, 3))
    if viewpoint.style == "following":
        middle = (points.min(axis=1) + points.max(axis=1)) / 2 * (1, 0, 1)
        followed = _smooth(middle, _SMOOTHING_SECONDS * fps)
    relative = (points - followed[:, None]) @ still_axes.T
    edge = frames // 10 if crossing else 0
    eye = _fitting_eye(relative[edge : frames - edge].reshape(-1, 3), tan_half_view)
    # Stepping back by the zoom leaves room, in which the offset places the person.
    depth = np.median(relative[..., 2]) - eye[2]
    room = (viewpoint.zoom - 1) * depth * tan_half_view
    eye[2] -= (viewpoint.zoom - 1) * depth
    eye[:2] -= room * np.array(viewpoint.offset) * 0.8
    axes = np.broadcast_to(still_axes, (frames, 3, 3))
    if viewpoint.shake:
        turns = _stationary_noise(rng, frames, _SHAKE_SECONDS * fps)
        axes = _shaken(axes, turns * viewpoint.shake * 2 * tan_half_view)
    eye = eye @ still_axes + followed
    eye[:, 1] = np.maximum(eye[:, 1], _LOWEST_EYE_METRES)
    return CameraPath(
        eye=eye,
        axes=axes,
        tan_half_view=tan_half_view,
        moves=viewpoint.style != "still",
    )


def person_share(camera: CameraPath, points: np.ndarray) -> float:
    """Size of the person: the longer side of its box as a share of the picture's side.

    The median over the frames of points `(frames, points, 3)`.
    """
    local = camera.to_camera(points)
    flat = local[..., :2] / local[..., 2:] / camera.tan_half_view / 2
    return float(np.median(np.ptp(flat, axis=1).max(axis=1)))


def _axes(ahead: np.ndarray) -> np.ndarray:
    right = np.cross(ahead, [0, 1, 0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(right, ahead), ahead])


def _fitting_eye(points: np.ndarray, tan_half_view: float) -> np.ndarray:
    """The nearest eye, in the axes of `points` `(points, 3)`, that sees them all.

    The camera sees a point if |x - eye_x| + margin <= tan * (z - eye_z); so the highest
    of x - tan z and of -x - tan z bound the eye from both sides, and their sum gives
    the distance for that direction.
    """
    eye, nearest = np.zeros(3), []
    for axis in (0, 1):
        high = (points[:, axis] - tan_half_view * points[:, 2]).max()
        low = (-points[:, axis] - tan_half_view * points[:, 2]).max()
        eye[axis] = (high - low) / 2
        nearest.append(-((high + low) / 2 + _BODY_MARGIN_METRES) / tan_half_view)
    eye[2] = min(nearest)
    return eye


def _smooth(path: np.ndarray, sigma_frames: float) -> np.ndarray:
    """Gaussian smoothing along time, the same forwards as backwards."""
    steps = np.arange(len(path))
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / sigma_frames) ** 2)
    return weights / weights.sum(axis=1, keepdims=True) @ path


def _stationary_noise(
    rng: np.random.Generator, frames: int, width_frames: float
) -> np.ndarray:
    """`(frames, 2)` of smooth noise with unit variance at every frame."""
    reach = max(1, round(width_frames))
    window = np.hanning(2 * reach + 1)
    window /= np.linalg.norm(window)
    noise = rng.standard_normal((frames + 2 * reach, 2))
    return np.stack([np.convolve(column, window, "valid") for column in noise.T], 1)


def _shaken(axes: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Axes turned by small angles to the right and up, `(frames, 2)` radians."""
    ahead = axes[:, 2] + turns[:, :1] * axes[:, 0] + turns[:, 1:] * axes[:, 1]
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    return np.stack([_axes(direction) for direction in ahead])
