import colorsys
import itertools

import numpy as np
import pytest

from keras_dynamonet.data.mocap import backdrops
from keras_dynamonet.data.mocap.backdrops import SHOTS, draw_backdrop
from keras_dynamonet.data.mocap.kinematics import GARMENTS
from keras_dynamonet.data.mocap.scene import SPLITS, draw_scene

RANGES = ("bearings_degrees", "hues_degrees", "girths")


def within(value, ranges, slack=0.0):
    return any(start - slack <= value <= stop + slack for start, stop in ranges)


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(SPLITS, 2)))
def test_splits_share_nothing(one, other):
    for field in RANGES:
        for (a, b), (c, d) in itertools.product(
            getattr(SPLITS[one], field), getattr(SPLITS[other], field)
        ):
            assert b <= c or d <= a, f"{field}: {(a, b)} and {(c, d)} overlap"
    assert not set(SPLITS[one].shots) & set(SPLITS[other].shots)


def test_shots_of_one_video_do_not_overlap():
    for one, other in itertools.combinations(SHOTS.values(), 2):
        assert one[0] != other[0] or one[2] <= other[1] or other[2] <= one[1]


@pytest.mark.parametrize("name", SPLITS)
def test_scenes_stay_in_their_split(stand_ins, name):
    split = SPLITS[name]
    rng = np.random.default_rng(0)
    for _ in range(40):
        scene = draw_scene(rng, split)
        assert set(scene.colours) == set(GARMENTS)
        assert within(scene.body.girth, split.girths)
        for garment in ("shirt", "trousers"):
            hue = 360 * colorsys.rgb_to_hsv(*scene.colours[garment])[0]
            assert within(hue, split.hues_degrees, slack=0.1) or hue < 0.1
        if scene.backdrop is None:
            assert scene.has_floor
        else:
            assert scene.backdrop.shot in split.shots
            _, first, stop = SHOTS[scene.backdrop.shot]
            assert first <= scene.backdrop.frame < stop
        assert np.linalg.norm(scene.light) == pytest.approx(1, abs=1e-3)


def test_dark_and_flat_backdrops_are_passed_over(monkeypatch):
    rng = np.random.default_rng(0)
    good = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    frames = {number: good // 8 for number in range(0, 250, 6)}
    frames[12] = good
    frames[18] = np.full_like(good, 120)
    monkeypatch.setattr(backdrops, "_frames", lambda name: frames)
    for seed in range(5):
        crop = draw_backdrop(np.random.default_rng(seed), ("bus",))
        assert crop.frame == 12
        picture = crop.picture()
        assert picture.shape[0] == picture.shape[1]
        assert 24 <= len(picture) <= 40
