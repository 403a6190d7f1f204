"""Pictures and loops as data URIs, so that the page needs no second file."""

import base64
import io

import numpy as np
from matplotlib import colormaps
from PIL import Image

MAX_SIDE_PX = 176
"""Larger frames are shrunk to this before they go on the page."""

ERROR_GAIN = 4
"""Errors are shown this many times as strong."""


def as_uint8(frame: np.ndarray) -> np.ndarray:
    """Frames as uint8; floats are taken to be in `[0, 1]` and clipped.

    Example:

    >>> as_uint8(np.array([0.0, 0.5, 1.2]))
    array([  0, 128, 255], dtype=uint8)
    """
    frame = np.asarray(frame)
    if frame.dtype == np.uint8:
        return frame
    return np.rint(np.clip(frame, 0.0, 1.0) * 255.0).astype(np.uint8)


def png_uri(pixels: np.ndarray) -> str:
    """A picture as a PNG data URI.

    Args:
        pixels: uint8 RGB or RGBA, `(height, width, 3 or 4)`.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png", optimize=True)
    return _uri(buffer, "png")


def frame_uri(frame: np.ndarray) -> str:
    """A video frame as a PNG data URI, shrunk where it is large."""
    return png_uri(np.asarray(_shrunk(as_uint8(frame))))


def loop_uri(frames: np.ndarray, fps: float, *, pause_seconds: float = 0.4) -> str:
    """A short clip as an animated WebP data URI that repeats for ever.

    Args:
        frames: uint8 RGB, `(frames, height, width, 3)`.
        fps: Frames per second.
        pause_seconds: How long the last frame stays before the clip starts again, so
            that the eye sees where it begins.
    """
    pictures = [_shrunk(frame) for frame in frames]
    milliseconds = [round(1000 / fps)] * len(pictures)
    milliseconds[-1] += round(1000 * pause_seconds)
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        format="webp",
        save_all=True,
        append_images=pictures[1:],
        duration=milliseconds,
        loop=0,
        quality=82,
        method=4,
    )
    return _uri(buffer, "webp")


def error_picture(
    predicted: np.ndarray, real: np.ndarray, *, gain: float = ERROR_GAIN
) -> np.ndarray:
    """How far a predicted frame is off, pixel by pixel.

    Args:
        predicted: Frame `(height, width, 3)`, floats in `[0, 1]` or uint8.
        real: The real frame, likewise.
        gain: By how much the mean absolute error of the three colours is multiplied.

    Returns:
        uint8 RGB: black where the two agree, through violet and orange to yellow
        where `gain` times the error reaches the whole range.
    """
    difference = as_uint8(predicted).astype(np.float32) - as_uint8(real)
    strength = np.abs(difference).mean(axis=-1) * gain / 255.0
    return _coloured("inferno", strength)[..., :3]


def filters_picture(filters: np.ndarray, limit: float, *, gap: int = 1) -> np.ndarray:
    """Filters over time side by side, less the identity, in a diverging colour map.

    Args:
        filters: `(frames, kernel, kernel)`. The identity has a single 1 in the middle.
        limit: The absolute value that gets the strongest colour.
        gap: Transparent columns between two filters.

    Returns:
        uint8 RGBA `(kernel, frames * (kernel + gap) - gap, 4)`: blue below zero, white
        at zero, red above.
    """
    deviation = without_identity(filters)
    frames, size, _ = deviation.shape
    picture = np.zeros((size, frames * (size + gap) - gap, 4), np.uint8)
    for t in range(frames):
        left = t * (size + gap)
        shade = 0.5 + 0.5 * deviation[t] / limit
        picture[:, left : left + size] = _coloured("RdBu_r", shade)
    return picture


def without_identity(filters: np.ndarray) -> np.ndarray:
    """Filters `(frames, kernel, kernel)` less the one that changes nothing."""
    deviation = np.array(filters, dtype=np.float64)
    middle = deviation.shape[-1] // 2
    deviation[:, middle, middle] -= 1.0
    return deviation


def colour_stops(name: str, count: int = 9) -> list[str]:
    """Evenly spaced colours of one of Matplotlib's maps, low to high, as hex.

    Example:

    >>> colour_stops("gray", 3)
    ['#000000', '#808080', '#ffffff']
    """
    shades = _coloured(name, np.linspace(0, 1, count))
    return ["#" + bytes(shade[:3].tolist()).hex() for shade in shades]


def _coloured(name: str, strength: np.ndarray) -> np.ndarray:
    return colormaps[name](np.clip(strength, 0.0, 1.0), bytes=True)


def _shrunk(frame: np.ndarray) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(frame))
    if max(picture.size) > MAX_SIDE_PX:
        picture.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.LANCZOS)
    return picture


def _uri(buffer: io.BytesIO, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
