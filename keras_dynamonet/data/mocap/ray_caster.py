"""Which body part every ray meets first: analytic rounded cones, all frames at once.

Everything is in camera coordinates: the eye is the origin, x points right, y up and z
ahead, so that one grid of rays serves every frame even when the camera moves. Per part,
only the rays inside its projected bounding boxes are tested.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Hits:
    """First hits of `frames * size * size` rays, flattened in that order.

    Args:
        part: int8 index of the part, -1 where the ray meets nothing.
        normal: `(rays, 3)` float32 unit normals, zero where nothing is met.
        along: float32 position of the hit along the part's axis, 0 at its start and
            1 at its end.
    """

    part: np.ndarray
    normal: np.ndarray
    along: np.ndarray


def camera_rays(size: int, tan_half_view: float) -> np.ndarray:
    """Unit rays through the pixel centres, row by row from the top left.

    Args:
        size: Pixels along a side.
        tan_half_view: Tangent of half the angle of view.

    Returns:
        `(size * size, 3)` float32.
    """
    centres = (np.arange(size) + 0.5) / size * 2 - 1
    rays = np.ones((size, size, 3))
    rays[..., 0] = tan_half_view * centres[None, :]
    rays[..., 1] = -tan_half_view * centres[:, None]
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    return rays.reshape(-1, 3).astype(np.float32)


def cast_cones(
    starts: np.ndarray,
    ends: np.ndarray,
    radii: np.ndarray,
    size: int,
    tan_half_view: float,
) -> Hits:
    """Casts one ray per pixel and frame against all parts.

    Args:
        starts: `(frames, parts, 3)` camera coordinates in metres.
        ends: The same of the other ends.
        radii: `(parts, 2)` radii at start and end. Neither sphere of a part may hold
            the other.
        size: Pixels along a side of a frame.
        tan_half_view: Tangent of half the angle of view.
    """
    frames, parts = starts.shape[:2]
    rays = camera_rays(size, tan_half_view)
    hits = Hits(
        part=np.full(frames * size * size, -1, np.int8),
        normal=np.zeros((frames * size * size, 3), np.float32),
        along=np.zeros(frames * size * size, np.float32),
    )
    nearest = np.full(frames * size * size, np.inf, np.float32)
    for index in range(parts):
        start, end = starts[:, index], ends[:, index]
        boxes = _bounding_boxes(start, end, radii[index].max(), size, tan_half_view)
        frame, pixel = _pixels_in_boxes(boxes, size)
        _cast_part(index, start, end, radii[index], frame, pixel, rays, nearest, hits)
    return hits


def _bounding_boxes(
    start: np.ndarray, end: np.ndarray, radius: float, size: int, tan_half_view: float
) -> np.ndarray:
    """`(frames, 4)` int half-open pixel ranges left, right, top, bottom; may be empty.

    A part that reaches behind the eye gets an empty box: cameras stay clear of people.
    """
    points = np.stack([start, end], axis=1)
    depth = points[..., 2]
    near = depth.min(axis=1) - radius
    visible = near > 0.05
    depth = np.where(visible[:, None], depth, 1.0)
    # A sphere off the axis projects to an ellipse a little wider than r / z.
    reach = 1.1 * radius / np.where(visible, near, 1.0) / tan_half_view
    across = points[..., 0] / depth / tan_half_view
    down = -points[..., 1] / depth / tan_half_view
    box = [across.min(1) - reach, across.max(1) + reach]
    box += [down.min(1) - reach, down.max(1) + reach]
    pixels = (np.stack(box, axis=1) + 1) / 2 * size
    pixels[:, [0, 2]] = np.floor(pixels[:, [0, 2]])
    pixels[:, [1, 3]] = np.ceil(pixels[:, [1, 3]])
    boxes = np.clip(pixels, 0, size).astype(np.int32)
    boxes[~visible] = 0
    return boxes


def _pixels_in_boxes(boxes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame and pixel number of every pixel in every frame's box, both `(rays,)`."""
    left, right, top, bottom = boxes.T
    widths = np.maximum(right - left, 0)
    counts = widths * np.maximum(bottom - top, 0)
    frame = np.repeat(np.arange(len(boxes), dtype=np.int32), counts)
    first = np.cumsum(counts) - counts
    order = np.arange(counts.sum(), dtype=np.int32) - first.astype(np.int32)[frame]
    row, column = np.divmod(order, widths[frame])
    return frame, (row + top[frame]) * size + column + left[frame]


def _cast_part(
    index: int,
    start: np.ndarray,
    end: np.ndarray,
    radii: np.ndarray,
    frame: np.ndarray,
    pixel: np.ndarray,
    rays: np.ndarray,
    nearest: np.ndarray,
    hits: Hits,
) -> None:
    """Writes the rays that meet this part first into `nearest` and `hits`."""
    ray = rays[pixel]
    met, distance, fraction = _intersect(start, end, radii, frame, ray)
    target = frame[met] * len(rays) + pixel[met]
    front = np.flatnonzero((distance > 0) & (distance < nearest[target]))
    target, met, distance = target[front], met[front], distance[front]
    fraction = np.clip(fraction[front], 0, 1)
    nearest[target] = distance
    hits.part[target] = index
    hits.along[target] = fraction
    # The sphere of the hull that touches at the hit has its centre at this fraction of
    # the axis, on the side and on the caps alike; the normal points away from it.
    axis, origin = (end - start).astype(np.float32), start.astype(np.float32)
    centre = origin[frame[met]] + fraction[:, None] * axis[frame[met]]
    normal = distance[:, None] * ray[met] - centre
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    hits.normal[target] = normal


def _intersect(
    start: np.ndarray,
    end: np.ndarray,
    radii: np.ndarray,
    frame: np.ndarray,
    ray: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Intersects rays from the origin with one rounded cone per frame.

    A rounded cone is the hull of two spheres. A point at distance t along the ray lies
    on the infinite cone around both where a t^2 + 2 b t + c = 0; it belongs to the
    slanted side where its centre sphere lies between the ends, otherwise the sphere at
    that end is met. A ray that misses the infinite cone misses both spheres.

    Returns:
        Numbers of the rays that meet the infinite cone, the distance of the hit (inf
        when the caps are missed) and the place of its centre sphere on the axis.
    """
    first, last = radii
    axis, slope = end - start, first - last
    squared = np.einsum("ij,ij->i", axis, axis)
    reach = squared - slope**2
    foot = -np.einsum("ij,ij->i", axis, start) - first * slope
    c = reach * (np.einsum("ij,ij->i", start, start) - first**2) - foot**2
    # Differences of large numbers are taken per frame in double precision; per ray,
    # single precision is enough.
    columns = [axis, start, reach[:, None], foot[:, None], c[:, None]]
    of_ray = np.concatenate(columns, axis=1).astype(np.float32)[frame]
    along_axis = np.einsum("ij,ij->i", ray, of_ray[:, :3])
    along_start = np.einsum("ij,ij->i", ray, of_ray[:, 3:6])
    reach, foot, c = of_ray[:, 6], of_ray[:, 7], of_ray[:, 8]
    a = reach - along_axis**2
    b = -reach * along_start - foot * along_axis
    root = b * b - c * a
    met = np.flatnonzero((root > 0) & (a > 1e-9))
    distance = (-np.sqrt(root[met]) - b[met]) / a[met]
    fraction = (foot[met] + distance * along_axis[met]) / reach[met]
    ends = ((start, first, fraction <= 0), (end, last, fraction >= 1))
    for centre, radius, beyond in ends:
        cap = np.flatnonzero(beyond)
        of_cap = frame[met[cap]]
        gap = (np.einsum("ij,ij->i", centre, centre) - radius**2).astype(np.float32)
        centre = centre.astype(np.float32)
        closest = np.einsum("ij,ij->i", ray[met[cap]], centre[of_cap])
        inside = closest**2 - gap[of_cap]
        surface = closest - np.sqrt(np.maximum(inside, 0))
        distance[cap] = np.where(inside > 0, surface, np.inf)
    return met, distance, fraction
