"""Raw frames on standard input."""

import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from keras_dynamonet.errors import UsageError, UserError


def parse_stream_format(text: str) -> tuple[int, int, float]:
    """Width and height in pixels and frames a second of e.g. `"640x480@25"`.

    Raises:
        UsageError: If the text has another form.

    Example:

    >>> parse_stream_format("640x480@29.97")
    (640, 480, 29.97)
    """
    match = re.fullmatch(r"(\d+)x(\d+)@(\d+(?:\.\d+)?)", text)
    width, height, fps = (float(part) for part in match.groups()) if match else (0,) * 3
    if not (width and height and fps):
        raise UsageError(
            "--stdin must look like 640x480@25 (pixels, pixels, frames a second). "
            f"Received: {text}."
        )
    return int(width), int(height), fps


def read_raw_frames(
    stream: BinaryIO, width: int, height: int, fps: float
) -> Iterator[tuple[float, np.ndarray]]:
    """Yields `(seconds, frame)` from a stream of bytes, rgb24, row by row.

    Args:
        stream: The bytes.
        width: Of a frame in pixels.
        height: Of a frame in pixels.
        fps: Frames a second.

    Yields:
        Seconds since the first frame, and uint8 RGB of shape `(height, width, 3)`.

    Raises:
        UserError: If the stream is empty or ends within a frame.
    """
    count, needed = 0, width * height * 3
    while data := stream.read(needed):
        if len(data) < needed:
            raise UserError(
                f"standard input ended within frame {count}: {len(data)} of {needed} "
                f"bytes. Are the frames rgb24 of {width}x{height}?"
            )
        yield count / fps, np.frombuffer(data, np.uint8).reshape(height, width, 3)
        count += 1
    if not count:
        raise UserError("standard input held no frames.")
