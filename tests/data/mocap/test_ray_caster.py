import numpy as np

from keras_dynamonet.data.mocap.ray_caster import camera_rays, cast_cones

SIZE, TAN = 48, 0.4


def spheres_hit(start, end, radii, rays, steps=800):
    """Oracle: a rounded cone is the union of the spheres between its two ends."""
    share = np.linspace(0, 1, steps)[:, None]
    centres = start + share * (end - start)
    radius = radii[0] + share[:, 0] * (radii[1] - radii[0])
    closest = rays.astype(float) @ centres.T
    inside = closest**2 - (centres**2).sum(1) + radius**2
    distance = np.where(inside > 0, closest - np.sqrt(np.maximum(inside, 0)), np.inf)
    best = distance.argmin(axis=1)
    return distance[np.arange(len(rays)), best], share[best, 0], centres[best]


def two_frames():
    starts = np.array(
        [
            [[-0.6, 0.2, 4.0], [0.3, -0.9, 5.0], [0.1, 0.1, 3.5]],
            [[-0.2, 0.9, 6.0], [1.6, 0.4, 4.2], [0.0, -0.6, 4.0]],
        ]
    )
    ends = starts + np.array([[0.7, 0.5, -0.4], [0.1, 0.8, 0.5], [-0.3, 0.0, 0.6]])
    radii = np.array([[0.2, 0.1], [0.15, 0.15], [0.08, 0.2]])
    return starts, ends, radii


def test_agrees_with_a_chain_of_spheres():
    starts, ends, radii = two_frames()
    hits = cast_cones(starts, ends, radii, SIZE, TAN)
    rays = camera_rays(SIZE, TAN)
    for frame in range(2):
        of_part = [
            spheres_hit(starts[frame, i], ends[frame, i], radii[i], rays)
            for i in range(3)
        ]
        distance = np.stack([part[0] for part in of_part])
        nearest = np.where(np.isfinite(distance.min(0)), distance.argmin(0), -1)
        part = hits.part[frame * SIZE**2 : (frame + 1) * SIZE**2]
        assert (part >= 0).sum() > 100
        assert (part != nearest).mean() < 0.003  # grazing rays
        for i in range(3):
            same = (part == i) & (nearest == i)
            chosen = np.flatnonzero(same) + frame * SIZE**2
            assert same.any()
            _, share, centre = (column[same] for column in of_part[i])
            assert np.abs(hits.along[chosen] - share).mean() < 0.01
            normal = distance[i, same][:, None] * rays[same] - centre
            normal /= np.linalg.norm(normal, axis=1, keepdims=True)
            cosine = (hits.normal[chosen] * normal).sum(1)
            assert np.median(cosine) > 0.9999
            assert cosine.min() > 0.97


def test_rays_look_through_pixel_centres():
    rays = camera_rays(4, 1.0).reshape(4, 4, 3)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=2), 1, rtol=1e-6)
    right_of_top_left = rays[0, 1] / rays[0, 1, 2]
    np.testing.assert_allclose(right_of_top_left, [-0.25, 0.75, 1])


def test_parts_outside_the_picture_or_behind_the_eye_are_not_met():
    starts = np.array([[[50.0, 0, 4], [0, 0, -3]]])
    hits = cast_cones(starts, starts + 0.3, np.full((2, 2), 0.2), 16, TAN)
    assert (hits.part == -1).all()
    assert not hits.normal.any()
