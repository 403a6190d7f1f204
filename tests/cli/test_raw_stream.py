import io

import numpy as np
import pytest

from keras_dynamonet.cli.raw_stream import parse_stream_format, read_raw_frames
from keras_dynamonet.errors import UserError


def test_frames_and_times():
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3)).astype("uint8")
    found = list(read_raw_frames(io.BytesIO(frames.tobytes()), 6, 4, 10.0))
    assert [seconds for seconds, _ in found] == [0.0, 0.1, 0.2]
    np.testing.assert_array_equal([frame for _, frame in found], frames)


def test_half_a_frame_at_the_end_is_an_error():
    stream = io.BytesIO(bytes(4 * 6 * 3 + 5))
    with pytest.raises(UserError, match="within frame 1: 5 of 72 bytes.*rgb24 of 6x4"):
        list(read_raw_frames(stream, 6, 4, 10.0))


def test_an_empty_stream_is_an_error():
    with pytest.raises(UserError, match="held no frames"):
        list(read_raw_frames(io.BytesIO(), 6, 4, 10.0))


@pytest.mark.parametrize("text", ["640x480", "0x480@25", "640x480@", "a", "1x1@0"])
def test_bad_formats(text):
    with pytest.raises(UserError, match=f"must look like 640x480@25.*Received: {text}"):
        parse_stream_format(text)


def test_good_formats():
    assert parse_stream_format("640x480@25") == (640, 480, 25.0)
    assert parse_stream_format("6x4@29.97") == (6, 4, 29.97)
