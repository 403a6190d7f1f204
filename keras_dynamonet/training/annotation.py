"""Videos with the predictions drawn into the picture."""

import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from keras_dynamonet.data.decoding import iterate_frames
from keras_dynamonet.files import atomic_path
from keras_dynamonet.training.prediction import Moment
from keras_dynamonet.training.probabilities import top_classes

_TICKS_PER_SECOND = 90_000
_SMALLEST_SIDE_PX = 240
_WHITE, _BLUE = (255, 255, 255), (70, 130, 220)


def annotate_video(
    source: str | os.PathLike,
    target: str | os.PathLike,
    moments: Sequence[Moment],
    class_names: Sequence[str],
    *,
    top: int = 3,
    progress: Callable[[float, float], None] | None = None,
) -> None:
    """Writes a copy of a video with the most probable classes of each moment.

    Small videos are enlarged until text can be read. Sound is left out.

    Args:
        source: The video.
        target: The video to write, e.g. `"out.mp4"`.
        moments: Its timeline, at least one moment.
        class_names: Names of the classes.
        top: How many classes to show.
        progress: Called with the seconds done and in all, roughly.

    Raises:
        VideoError: If the source cannot be read.
    """
    centres = np.array([(m.start_seconds + m.end_seconds) / 2 for m in moments])
    length = moments[-1].end_seconds
    with (
        atomic_path(Path(target)) as temporary,
        av.open(f"file:{temporary}", "w") as video,  # a name may hold a colon
    ):
        stream, last = None, -1
        for seconds, frame in iterate_frames(source):
            nearest = moments[int(np.abs(centres - seconds).argmin())]
            best = top_classes(nearest.probabilities, class_names, top)
            picture = draw_classes(_enlarge(frame), best)
            if stream is None:
                stream = video.add_stream("libx264", rate=30)
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.time_base = Fraction(1, _TICKS_PER_SECOND)
            output = av.VideoFrame.from_ndarray(picture, format="rgb24")
            # Odd files give two frames one time, which no container takes.
            last = output.pts = max(round(seconds * _TICKS_PER_SECOND), last + 1)
            output.time_base = Fraction(1, _TICKS_PER_SECOND)
            video.mux(stream.encode(output))
            if progress is not None:
                progress(min(seconds, length), length)
        video.mux(stream.encode())


def draw_classes(frame: np.ndarray, classes: Sequence[tuple[str, float]]) -> np.ndarray:
    """Draws names with probability bars into the lower left corner.

    Args:
        frame: uint8 RGB, `(height, width, 3)`.
        classes: Names and probabilities, one line each.

    Returns:
        A new frame of the same shape.
    """
    height, width = frame.shape[:2]
    line = max(14, height // 16)
    left, gap = line // 3, max(2, line // 8)
    top = height - line * len(classes) - line // 2
    picture = frame.copy()
    panel = picture[max(0, top) :]
    panel[:] = panel // 3  # darkened, so that white text stands out
    for number, (name, probability) in enumerate(classes):
        base = top + line * (number + 1)
        end = left + round(probability * (width - 2 * left))
        cv2.rectangle(
            picture, (left, base - line + gap), (end, base), _BLUE, cv2.FILLED
        )
        _write(picture, f"{100 * probability:.0f} % {name}", left + gap, base, line)
    return picture


def _write(picture: np.ndarray, text: str, left: int, base: int, line: int) -> None:
    """Writes into a line above `base`, smaller where the picture ends."""
    font, scale, thickness = cv2.FONT_HERSHEY_SIMPLEX, line / 36, max(1, line // 16)
    (width, _), _ = cv2.getTextSize(text, font, scale, thickness)
    scale *= min(1.0, (picture.shape[1] - 2 * left) / max(1, width))
    (_, height), _ = cv2.getTextSize("0", font, scale, thickness)
    place = (left, base - max(0, line - height) // 3)
    cv2.putText(picture, text, place, font, scale, _WHITE, thickness, cv2.LINE_AA)


def _enlarge(frame: np.ndarray) -> np.ndarray:
    """At least 240 pixels on the short side, and even sides, as H.264 needs them."""
    height, width = frame.shape[:2]
    factor = max(1, -(-_SMALLEST_SIDE_PX // min(height, width)))
    if factor > 1:
        size = (width * factor, height * factor)
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC)
    height, width = frame.shape[:2]
    return frame[: height - height % 2, : width - width % 2]
