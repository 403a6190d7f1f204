"""Videos to decode: a picture that pans, things that move, and the frame's number.

The number stands in the picture as a row of light and dark squares, so that a decoder
that returns another frame than the one asked for is found out.
"""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

FRAMES, FPS = 250, 25
BITS = 8

# Name: width, height, suffix, encoder, its options. Distances of key frames are those
# that FFmpeg takes by default: 250 for H.264, 12 for MPEG-4.
KINDS = {
    "h264-320x240": (320, 240, ".mp4", "libx264", {}),
    "mpeg4-320x240": (320, 240, ".avi", "mpeg4", {"qscale": "4"}),
    "h264-640x480": (640, 480, ".mp4", "libx264", {}),
}


def write_videos(folder: Path, kind: str, count: int) -> list[Path]:
    """Writes the videos of a kind that are not there yet.

    Args:
        folder: Where to.
        kind: A key of `KINDS`.
        count: How many.

    Returns:
        Their paths.
    """
    width, height, suffix, codec, options = KINDS[kind]
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{kind}-{index}{suffix}" for index in range(count)]
    for index, path in enumerate(paths):
        if path.exists():
            continue
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=Fraction(FPS), options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            if codec == "mpeg4":
                stream.codec_context.gop_size = 12
                stream.bit_rate = 6 * width * height
            for frame in _frames(width, height, seed=index):
                picture = av.VideoFrame.from_ndarray(frame, "rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
    return paths


def _frames(width, height, seed):
    rng = np.random.default_rng(seed)
    scene = _texture(rng, 2 * height, 2 * width)
    things = [_texture(rng, height // 5, height // 5) for _ in range(5)]
    speeds = rng.uniform(-4, 4, (5, 2))
    places = rng.uniform(0, 1, (5, 2)) * (height, width)
    side = height // 12
    for number in range(FRAMES):
        phase = 2 * np.pi * number / FRAMES
        top = int((0.5 + 0.4 * np.sin(phase)) * height)
        left = int((0.5 + 0.4 * np.cos(phase)) * width)
        frame = scene[top : top + height, left : left + width].copy()
        for thing, place, speed in zip(things, places, speeds, strict=True):
            y, x = ((place + speed * number) % (height, width)).astype(int)
            part = frame[y : y + len(thing), x : x + len(thing)]
            part[:] = thing[: part.shape[0], : part.shape[1]]
        noise = rng.normal(0, 3, (height, width, 1))
        frame = np.clip(frame + noise, 0, 255).astype(np.uint8)
        for bit in range(BITS):
            level = 235 if number >> bit & 1 else 20
            frame[:side, bit * side : (bit + 1) * side] = level
        yield frame


def _texture(rng, height, width):
    """Patches of colour of several sizes, `(height, width, 3)` in [0, 255]."""
    picture = np.zeros((height, width, 3), np.float32)
    for cells in (4, 16, 64):
        coarse = rng.uniform(0, 255, (cells, cells, 3)).astype(np.float32)
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return picture / 3
