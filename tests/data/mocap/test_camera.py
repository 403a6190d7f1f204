import dataclasses

import numpy as np
import pytest

from keras_dynamonet.data.mocap.camera import (
    CAMERA_STYLES,
    draw_viewpoint,
    person_share,
    place_camera,
)
from keras_dynamonet.data.mocap.kinematics import Body, body_cones

FPS = 12.0


@pytest.fixture
def points(striding):
    poses = striding.poses_at(np.arange(20) / FPS)
    return np.concatenate(body_cones(poses, Body(1, 1))[:2], axis=1)


def viewpoint(style, seed=0):
    return draw_viewpoint(np.random.default_rng(seed), style, ((60, 120),))


def place(style, points, seed=0, **options):
    rng = np.random.default_rng(seed)
    return place_camera(viewpoint(style, seed), points, FPS, rng, **options)


def on_picture(camera, points):
    local = camera.to_camera(points)
    return local[..., :2] / local[..., 2:] / camera.tan_half_view


@pytest.mark.parametrize("style", ["still", "following"])
@pytest.mark.parametrize("seed", range(4))
def test_everything_fits(points, style, seed):
    camera = place(style, points, seed)
    assert np.abs(on_picture(camera, points)).max() < 1
    assert person_share(camera, points) > 0.3
    assert (camera.eye[:, 1] > 0).all()


def test_axes_are_orthonormal_and_upright(points):
    for style in CAMERA_STYLES:
        axes = place(style, points).axes
        product = axes @ axes.transpose(0, 2, 1)
        np.testing.assert_allclose(
            product, np.broadcast_to(np.eye(3), product.shape), atol=1e-12
        )
        assert (axes[:, 1, 1] > 0.8).all()  # up is up
        np.testing.assert_allclose(axes[:, 0, 1], 0, atol=1e-12)  # the horizon is level


def test_still_camera_stays_and_others_move(points):
    assert not place("still", points).moves
    assert np.ptp(place("still", points).eye, axis=0).max() == 0
    assert np.ptp(place("following", points).eye, axis=0).max() > 0.5
    assert np.ptp(place("shaking", points).axes, axis=0).max() > 0


def test_following_camera_keeps_the_person_larger(points):
    far = points + np.linspace(0, 5, 20)[:, None, None] * (1, 0, 0)
    still, following = place("still", far), place("following", far)
    assert person_share(following, far) > 1.3 * person_share(still, far)


def test_crossing_person_is_larger_and_inside_in_the_middle(points):
    far = points + np.linspace(0, 5, 20)[:, None, None] * (1, 0, 0)
    camera = place("still", far, crossing=True)
    assert person_share(camera, far) > person_share(place("still", far), far)
    assert np.abs(on_picture(camera, far)[2:-2]).max() < 1


def test_following_does_not_tell_forwards_from_backwards(points):
    forwards = place("following", points)
    backwards = place("following", points[::-1])
    np.testing.assert_allclose(backwards.eye, forwards.eye[::-1])


def test_shake_is_equally_strong_at_every_frame():
    still = np.zeros((12, 2, 3)) + np.array([[0, 0, 0], [0, 1.7, 0]])
    view = dataclasses.replace(viewpoint("shaking"), shake=0.02)
    turns = [
        place_camera(view, still, FPS, np.random.default_rng(seed)).axes[:, 2]
        for seed in range(400)
    ]
    spread = np.std(turns, axis=0).sum(axis=1)
    np.testing.assert_allclose(spread / spread.mean(), 1, atol=0.15)


def test_bearings_stay_in_their_sectors():
    rng = np.random.default_rng(0)
    draws = [draw_viewpoint(rng, "mixed", ((0, 10), (90, 120))) for _ in range(200)]
    bearings = np.array([draw.bearing_degrees for draw in draws])
    inside = (np.abs(bearings) <= 10) | (
        (90 <= np.abs(bearings)) & (abs(bearings) <= 120)
    )
    assert inside.all()
    assert 0.3 < (bearings > 0).mean() < 0.7
    assert {draw.style for draw in draws} == set(CAMERA_STYLES)
    assert all((draw.shake > 0) == (draw.style == "shaking") for draw in draws)
