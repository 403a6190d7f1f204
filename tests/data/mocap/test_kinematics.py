import numpy as np
import pytest

from keras_dynamonet.data.mocap.kinematics import (
    GARMENTS,
    PARTS,
    Body,
    body_cones,
)
from keras_dynamonet.data.mocap.motions import QUATERNION_STARTS

THIGH, SHIN = 0.421546, 0.409870


@pytest.fixture
def standing():
    pose = np.zeros((1, 43))
    pose[:, 1] = 0.9
    for first in QUATERNION_STARTS:
        pose[:, first] = 1
    return pose


def part(garment: str, side: str) -> int:
    return next(
        i for i, p in enumerate(PARTS) if p[0] == garment and p[1].startswith(side)
    )


def test_standing_straight(standing):
    starts, ends, radii = body_cones(standing, Body(1, 1))
    assert starts.shape == ends.shape == (1, len(PARTS), 3)
    assert radii.shape == (len(PARTS), 2)
    shin = part("shin", "right")
    ankle_height = 0.9 - THIGH - SHIN
    np.testing.assert_allclose(ends[0, shin], [0, ankle_height, 0.084887])
    top = max((starts[..., 1] + radii[:, 0]).max(), (ends[..., 1] + radii[:, 1]).max())
    assert 1.6 < top < 1.8


def test_knee_bends_backwards(standing):
    standing[:, 19] = -np.pi / 2
    _, ends, _ = body_cones(standing, Body(1, 1))
    shin = part("shin", "right")
    np.testing.assert_allclose(ends[0, shin], [-SHIN, 0.9 - THIGH, 0.084887], atol=1e-9)


def test_turned_root_turns_everything(standing):
    half = np.pi / 4  # a quarter turn about y takes x to -z
    standing[:, 3:7] = [np.cos(half), 0, np.sin(half), 0]
    straight = standing.copy()
    straight[:, 3:7] = [1, 0, 0, 0]
    turned, _, _ = body_cones(standing, Body(1, 1))
    before, _, _ = body_cones(straight, Body(1, 1))
    x, y, z = np.moveaxis(before, -1, 0)
    np.testing.assert_allclose(turned, np.stack([z, y, -x], -1), atol=1e-9)


def test_build_changes_width_and_girth_but_not_height(standing):
    starts, _, radii = body_cones(standing, Body(1, 1))
    wide, _, stout = body_cones(standing, Body(1.2, 1.5))
    np.testing.assert_allclose(wide[..., 2], 1.2 * starts[..., 2])
    np.testing.assert_allclose(wide[..., 1], starts[..., 1])
    grows = np.array([name not in ("skin", "hair", "shoe") for name in GARMENTS])
    np.testing.assert_allclose(stout[grows], 1.5 * radii[grows])
    np.testing.assert_allclose(stout[~grows], radii[~grows])
