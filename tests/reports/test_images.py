import base64
import io

import numpy as np
from PIL import Image

from keras_dynamonet.reports import images


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))


def test_png_keeps_every_pixel():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    uri = images.png_uri(pixels)
    assert uri.startswith("data:image/png;base64,")
    np.testing.assert_array_equal(np.asarray(opened(uri)), pixels)


def test_large_frames_are_shrunk_and_keep_their_shape():
    picture = opened(images.frame_uri(np.zeros((500, 1000, 3))))
    assert picture.size == (images.MAX_SIDE_PX, images.MAX_SIDE_PX // 2)


def test_loop_has_every_frame_and_repeats():
    frames = np.zeros((5, 16, 16, 3), np.uint8)
    frames[np.arange(5), :, np.arange(5) * 3] = 255
    clip = opened(images.loop_uri(frames, fps=10.0))
    assert clip.format == "WEBP"
    assert (clip.n_frames, clip.size) == (5, (16, 16))
    assert clip.info["loop"] == 0
    clip.seek(3)
    shown = np.asarray(clip.convert("RGB"), np.float32)
    assert np.abs(shown - frames[3]).mean() < 12


def test_error_picture_is_black_where_frames_agree_and_saturates():
    real = np.zeros((2, 2, 3))
    predicted = real.copy()
    predicted[0, 0] = 0.25  # times 4: the whole range
    predicted[0, 1] = 0.5
    picture = images.error_picture(predicted, real, gain=4)
    assert picture[1, 1].max() < 8
    np.testing.assert_array_equal(picture[0, 0], picture[0, 1])
    assert picture[0, 0].min() > 100


def test_identity_filters_are_white():
    taps = np.zeros((2, 3, 3))
    taps[:, 1, 1] = 1.0
    taps[1, 0, 0] = 0.5
    taps[1, 2, 2] = -0.5
    picture = images.filters_picture(taps, limit=0.5)
    assert picture.shape == (3, 7, 4)
    assert (picture[:, :3, :3] > 240).all()
    assert (picture[:, 3, 3] == 0).all()  # the gap shows the page
    red, blue = picture[0, 4].astype(int), picture[2, 6].astype(int)
    assert red[0] > red[2] + 50
    assert blue[2] > blue[0] + 50


def test_floats_become_bytes_and_bytes_stay():
    floats = np.array([-0.5, 0.0, 0.5, 1.0, 2.0])
    np.testing.assert_array_equal(images.as_uint8(floats), [0, 0, 128, 255, 255])
    bytes_ = np.array([7], np.uint8)
    assert images.as_uint8(bytes_) is bytes_
