"""Writing clips as mp4 files whose frames do not know of one another."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from keras_dynamonet.files import atomic_path

# Every frame is a key frame with a constant quantiser: what a frame decodes to depends
# on its own pixels alone. With predicted frames or rate control, compression artefacts
# would tell the order in which frames were encoded, and so give reversed clips away.
_ENCODER_OPTIONS = {
    "qp": "20",
    "preset": "veryfast",
    "g": "1",
    "x264-params": "scenecut=0:mbtree=0",
}


def write_clip(path: Path, frames: np.ndarray, fps: float) -> None:
    """Writes an H.264 mp4 file, atomically.

    Args:
        path: Name of the file; its folder is created when missing.
        frames: `(frames, height, width, 3)` uint8 RGB, height and width even.
        fps: Frames a second.
    """
    with (
        atomic_path(path) as partial,
        av.open(f"file:{partial}", "w") as container,  # a name may hold a colon
    ):
        stream = container.add_stream(
            "libx264",
            rate=Fraction(fps).limit_denominator(1001),
            options=_ENCODER_OPTIONS,
        )
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # the same bytes on every machine
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
