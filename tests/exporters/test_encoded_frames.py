import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.data.transforms import centre_crop_resize
from keras_dynamonet.exporters.encoded_frames import centre_crop, decode_clips
from keras_dynamonet.exporters.saved_model import encode_jpeg
from tests.exporters.networks import moving_clips


def smooth_picture(height, width, seed=0):
    """Without the edges at which kernels of other libraries differ most."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        (240, 320, 112),
        (320, 240, 112),
        (64, 64, 32),
        (100, 75, 32),  # a margin of 11: half of it is rounded
        (56, 90, 112),
        (48, 160, 64),  # enlarged, of a width that no whole number fits
        (31, 47, 64),
    ],
)
def test_pictures_are_scaled_as_in_evaluation(height, width, size):
    picture = smooth_picture(height, width)
    expected = centre_crop_resize(picture[None], size)[0].astype(int)
    received = centre_crop(tf.constant(picture), size, size).numpy()
    difference = np.abs(received - expected)
    assert difference.max() <= 5
    assert difference.mean() < 1
    # A pixel to the side it would be another picture.
    assert np.abs(np.roll(received, 1, axis=1) - expected).mean() > 4


def test_lossless_pictures_of_the_right_size_stay_as_they_are():
    clips = moving_clips(2, 3, 16)
    frames = [
        [cv2.imencode(".png", frame[..., ::-1])[1].tobytes() for frame in clip]
        for clip in clips
    ]
    np.testing.assert_array_equal(decode_clips(tf.constant(frames), 16, 16), clips)


def test_jpeg_pictures_are_read_as_by_opencv():
    encoded = encode_jpeg(moving_clips(2, 3, 16), quality=80)
    expected = [
        [
            cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
            for content in clip
        ]
        for clip in encoded
    ]
    received = decode_clips(tf.constant(encoded.tolist()), 16, 16).numpy()
    assert np.abs(received - np.array(expected, int)).max() <= 1
