import dataclasses

import numpy as np
import pytest

from keras_dynamonet.data.mocap.background import cast_shadows, render_background
from keras_dynamonet.data.mocap.camera import draw_viewpoint, place_camera
from keras_dynamonet.data.mocap.kinematics import body_cones
from keras_dynamonet.data.mocap.renderer import readability, render_frames
from keras_dynamonet.data.mocap.scene import SPLITS, draw_scene

SIZE = 32


@pytest.fixture
def shot(stand_ins, striding):
    """Poses, scene and camera of a small clip before a floor and a painted wall."""
    poses = striding.poses_at(np.arange(5) / 12)
    scene = draw_scene(np.random.default_rng(3), SPLITS["train"])
    scene = dataclasses.replace(
        scene, noise=0.0, exposure=1.0, mirrored=False, has_floor=True, backdrop=None
    )
    return poses, scene, camera_for(poses, scene, "still")


def camera_for(poses, scene, style):
    points = np.concatenate(body_cones(poses, scene.body)[:2], axis=1)
    rng = np.random.default_rng(1)
    view = draw_viewpoint(rng, style, SPLITS["train"].bearings_degrees)
    return place_camera(view, points, 12.0, rng)


def render(poses, scene, camera):
    return render_frames(poses, scene, camera, SIZE, np.random.default_rng(0))


def test_frames_are_uint8_and_repeatable(shot):
    frames = render(*shot)
    assert frames.shape == (5, SIZE, SIZE, 3)
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, render(*shot))
    assert (frames[0] != frames[-1]).any()  # the person moves


def test_still_background_is_the_same_in_all_frames(shot):
    frames = render(*shot).astype(int)
    corner = frames[:, :3, :3]
    np.testing.assert_array_equal(corner, np.broadcast_to(corner[:1], corner.shape))


@pytest.mark.parametrize("style", ["following", "shaking"])
def test_moving_camera_moves_the_background(shot, style):
    poses, scene, _ = shot
    frames = render(poses, scene, camera_for(poses, scene, style)).astype(int)
    assert np.abs(np.diff(frames[:, -4:], axis=0)).max() > 0


def test_a_moving_camera_that_stays_sees_what_a_still_one_sees(shot):
    poses, scene, camera = shot
    moving = dataclasses.replace(camera, moves=True)
    np.testing.assert_array_equal(render(poses, scene, moving), render(*shot))


def test_mirroring_exposure_and_noise(shot):
    poses, scene, camera = shot
    frames = render(*shot).astype(float)

    def changed(**fields):
        return render(poses, dataclasses.replace(scene, **fields), camera)

    np.testing.assert_array_equal(changed(mirrored=True)[:, :, ::-1], frames)
    np.testing.assert_allclose(changed(exposure=0.5), frames / 2, atol=1)
    error = changed(noise=0.02) - frames
    assert 0.015 * 255 < error.std() < 0.025 * 255


def test_shadow_darkens_the_floor_only(shot):
    poses, scene, camera = shot
    starts, ends, radii = body_cones(poses, scene.body)
    rng = np.random.default_rng(0)
    background = render_background(scene, camera, starts, SIZE, rng)
    shaded = cast_shadows(background, starts, ends, radii, scene)
    ratio = (shaded / background.colours).mean(axis=-1)
    assert ratio.max() == pytest.approx(1)
    assert ratio.min() == pytest.approx(1 - scene.shadow, abs=0.05)
    on_wall = (background.floor > 1e3).any(axis=-1)
    assert on_wall.any()
    np.testing.assert_allclose(ratio[:, on_wall[0]], 1)


def test_readability_tells_camouflage_from_contrast(shot):
    poses, scene, camera = shot

    def score(person, surroundings):
        painted = dataclasses.replace(
            scene,
            striped=False,
            colours={name: person for name in scene.colours},
            wall_colours=(surroundings, surroundings),
            floor_colours=(surroundings, surroundings),
        )
        return readability(poses, painted, camera, np.random.default_rng(0))

    assert score((0.9, 0.9, 0.9), (0.1, 0.1, 0.1)) > 0.95
    assert score((0.15, 0.15, 0.15), (0.1, 0.1, 0.1)) == 0
