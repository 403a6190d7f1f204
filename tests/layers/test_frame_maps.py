import re

import numpy as np
import pytest
from scipy import ndimage

from keras_dynamonet.layers import FrameMaps
from tests.helpers import check_layer


def random(shape, seed=0):
    return np.random.default_rng(seed).random(shape).astype("float32")


def test_maps_are_convolutions_around_the_brightness():
    clip, layer = random((1, 2, 6, 7, 3)), FrameMaps(2)
    maps = np.array(layer(clip))
    kernel = np.array(layer.kernel)
    kernel[1, 1] += 1 / 3
    for frame, index in np.ndindex(2, 2):
        expected = sum(
            ndimage.correlate(
                clip[0, frame, :, :, c], kernel[:, :, c, index], mode="constant"
            )
            for c in range(3)
        )
        np.testing.assert_allclose(maps[0, frame, :, :, index], expected, atol=1e-5)


def test_maps_start_near_the_brightness_but_apart():
    clip = random((1, 1, 8, 8, 3))
    maps = np.array(FrameMaps(3)(clip))[..., 1:-1, 1:-1, :]
    brightness = clip.mean(axis=-1, keepdims=True)[..., 1:-1, 1:-1, :]
    assert np.abs(maps - brightness).max() < 1
    assert np.ptp(maps, axis=-1).min() > 0


def test_layer_contract(tmp_path):
    check_layer(FrameMaps, {"maps": 2}, random((2, 3, 8, 8, 3)), tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"maps": 0}, "`maps` must be at least 1. Received: maps=0"),
        ({"kernel_size": 2}, "`kernel_size` must be odd. Received: kernel_size=2"),
    ],
)
def test_wrong_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        FrameMaps(**arguments)
