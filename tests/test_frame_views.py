import re

import keras
import numpy as np
import pytest
from scipy import ndimage

from keras_dynamonet.frame_views import VIEWS, ViewedFrameLoss, through_view
from keras_dynamonet.losses import L2FrameLoss


def random(seed, shape=(2, 3, 14, 15, 3)):
    return np.random.default_rng(seed).random(shape).astype("float32")


@pytest.mark.parametrize("view", VIEWS)
def test_loss_is_that_of_the_filtered_frames(view):
    real, predicted, kernel = random(0), random(1), VIEWS[view].astype("float64")
    rim = len(kernel) // 2
    error = (predicted - real).astype("float64")
    seen = ndimage.correlate(error, kernel[None, None, :, :, None])
    expected = np.square(seen[:, :, rim:-rim, rim:-rim]).mean(axis=(1, 2, 3, 4))
    loss = ViewedFrameLoss(L2FrameLoss(), view)
    np.testing.assert_allclose(loss.call(real, predicted), expected, rtol=1e-4)


def test_views_ignore_the_mean_and_keep_the_power_of_noise():
    for kernel in VIEWS.values():
        assert abs(kernel.sum()) < 1e-5
        assert np.square(kernel).sum() == pytest.approx(1, rel=1e-5)


def test_whitening_raises_amplitudes_in_proportion_to_frequency():
    spectrum = np.abs(np.fft.fft2(VIEWS["whitened"], (64, 64)))
    # 0.1 and 0.2 cycles a pixel; the cut-off takes 6 % off the second.
    low, high = spectrum[0, 6], spectrum[0, 13]
    assert high / low == pytest.approx(13 / 6 * 0.94, rel=0.1)


def test_config_round_trip():
    loss = ViewedFrameLoss(L2FrameLoss(), "whitened")
    clone = keras.losses.deserialize(keras.losses.serialize(loss))
    assert clone.get_config() == loss.get_config()
    assert clone(random(0), random(1)) == loss(random(0), random(1))


def test_raw_frames_need_no_view():
    loss = L2FrameLoss()
    assert through_view(loss, "raw") is loss


def test_unknown_view_raises():
    message = "`view` must be one of ('high_pass', 'whitened'). Received: view='blur'"
    with pytest.raises(ValueError, match=re.escape(message)):
        through_view(L2FrameLoss(), "blur")
