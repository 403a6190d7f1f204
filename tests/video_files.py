"""Small video files for tests: flat pictures whose brightness is the frame number."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def numbered_frames(
    count: int, *, height: int = 48, width: int = 64, step: int = 10
) -> np.ndarray:
    """Frames of one grey level each: frame k has the level `20 + step * k`.

    Returns:
        uint8 RGB, shape `(count, height, width, 3)`.
    """
    levels = (20 + step * np.arange(count)).astype(np.uint8)
    return np.broadcast_to(
        levels[:, None, None, None], (count, height, width, 3)
    ).copy()


def frame_numbers(frames: np.ndarray, *, step: int = 10) -> list[int]:
    """Reads back which of the `numbered_frames` a decoded clip holds."""
    levels = frames.reshape(len(frames), -1).mean(axis=1)
    return np.rint((levels - 20) / step).astype(int).tolist()


def write_video(
    path: str | Path,
    frames: np.ndarray,
    *,
    fps: float = 10.0,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    key_frame_every: int | None = None,
    times_seconds: Sequence[float] | None = None,
    container_format: str | None = None,
    codec_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encodes frames to a video file.

    Args:
        path: The file; its ending chooses the container unless `container_format` does.
        frames: uint8 RGB, shape `(frames, height, width, 3)`.
        fps: Frames per second.
        codec: FFmpeg encoder.
        pix_fmt: Pixel format of the encoder.
        key_frame_every: Distance of key frames; None leaves it to the encoder.
        times_seconds: Start of each frame, for a variable rate; overrides `fps`.
        container_format: FFmpeg muxer, for endings that lie.
        codec_options: Options of the encoder.
        container_options: Options of the muxer.

    Returns:
        The path.
    """
    path = Path(path)
    with av.open(
        f"file:{path}", "w", format=container_format, options=container_options or {}
    ) as container:
        stream = container.add_stream(
            codec,
            rate=Fraction(fps).limit_denominator(1001),
            options=codec_options or {},
        )
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        if key_frame_every is not None:
            stream.codec_context.gop_size = key_frame_every
        if times_seconds is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for k, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if times_seconds is not None:
                picture.pts = round(times_seconds[k] * 1000)
                picture.time_base = Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path
