"""Pictures, clips and filters that a report shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_dynamonet.reports.results import Bounds


@dataclass(frozen=True, eq=False)
class FrameStrip:
    """One predicted frame beside the real one.

    Args:
        title: What the clip shows, e.g. `"walk, frame 8"`.
        previous: The frame the filter was applied to, `(height, width, 3)`, floats in
            `[0, 1]` or uint8.
        real: The real next frame, likewise.
        predicted: The predicted next frame, likewise.
        bounds: PSNR of this very frame.
        unseen: Whether the real next frame was hidden from the model.

    Raises:
        ValueError: If the three frames differ in shape.
    """

    title: str
    previous: np.ndarray
    real: np.ndarray
    predicted: np.ndarray
    bounds: Bounds
    unseen: bool = False

    def __post_init__(self):
        shapes = [np.shape(x) for x in (self.previous, self.real, self.predicted)]
        if len(set(shapes)) != 1 or len(shapes[0]) != 3 or shapes[0][2] != 3:
            raise ValueError(
                "`previous`, `real` and `predicted` must be frames of one shape "
                f"(height, width, 3). Received: shapes={shapes}."
            )


@dataclass(frozen=True, eq=False)
class FilterRow:
    """Motion filters over time.

    Args:
        label: What they belong to, e.g. `"walk, mean of 20 clips"`.
        filters: Array `(frames, kernel, kernel)` in order of time; the last one is the
            forecast.
        backwards: Whether to draw the last one first, so that a clip played backwards
            lies below the same clip played forwards.

    Raises:
        ValueError: If the filters are not square and of odd size.
    """

    label: str
    filters: np.ndarray
    backwards: bool = False

    def __post_init__(self):
        shape = np.shape(self.filters)
        if len(shape) != 3 or shape[1] != shape[2] or shape[1] % 2 == 0:
            raise ValueError(
                "`filters` must have shape (frames, kernel, kernel) with an odd "
                f"kernel. Received: shape={shape}."
            )


@dataclass(frozen=True, eq=False)
class FilterComparison:
    """Two rows of filters to hold against each other, drawn on one colour scale.

    Args:
        title: What is compared, e.g. `"walk against walk_backward"`.
        rows: The upper and the lower row, of as many filters.
        caption: What to look at.

    Raises:
        ValueError: If there are not two rows of equal shape.
    """

    title: str
    rows: Sequence[FilterRow]
    caption: str = ""

    def __post_init__(self):
        shapes = [np.shape(row.filters) for row in self.rows]
        if len(shapes) != 2 or shapes[0] != shapes[1]:
            raise ValueError(
                "`rows` must be two rows of filters of one shape. "
                f"Received: shapes={shapes}."
            )


@dataclass(frozen=True, eq=False)
class Loop:
    """A short clip that plays for ever.

    Args:
        label: What it shows.
        frames: uint8 RGB of shape `(frames, height, width, 3)`.
        fps: Frames per second.

    Raises:
        ValueError: If `frames` is not uint8 RGB or `fps` is not positive.
    """

    label: str
    frames: np.ndarray
    fps: float

    def __post_init__(self):
        shape, dtype = np.shape(self.frames), np.asarray(self.frames).dtype
        if len(shape) != 4 or shape[0] < 1 or shape[3] != 3 or dtype != np.uint8:
            raise ValueError(
                "`frames` must be uint8 of shape (frames, height, width, 3). "
                f"Received: shape={shape}, dtype={dtype}."
            )
        if not self.fps > 0:
            raise ValueError(f"`fps` must be positive. Received: fps={self.fps}.")


@dataclass(frozen=True, eq=False)
class Example:
    """One video with what the model said of it.

    Args:
        clip: The video.
        class_names: One name a class.
        probabilities: One a class, summing to 1.
        true_class: Index of the true class, or `None` where there is none.

    Raises:
        ValueError: If names and probabilities differ in number.
    """

    clip: Loop
    class_names: Sequence[str]
    probabilities: np.ndarray
    true_class: int | None = None

    def __post_init__(self):
        if np.shape(self.probabilities) != (len(self.class_names),):
            raise ValueError(
                "`probabilities` must hold one number a class. Received: "
                f"shape={np.shape(self.probabilities)}, "
                f"classes={len(self.class_names)}."
            )

    @property
    def predicted_class(self) -> int:
        """Index of the most probable class."""
        return int(np.argmax(self.probabilities))

    @property
    def is_wrong(self) -> bool:
        """Whether the true class is known and another one was named."""
        return self.true_class not in (None, self.predicted_class)

    def top(self, count: int) -> list[tuple[str, float]]:
        """The `count` most probable classes as `(name, probability)`."""
        probabilities = np.asarray(self.probabilities)
        order = np.argsort(-probabilities, kind="stable")[:count]
        return [(self.class_names[i], float(probabilities[i])) for i in order]


@dataclass(frozen=True, eq=False)
class CommandShown:
    """A command, run for the reader, with what it printed.

    Args:
        intro: What the command does and what to make of the answer.
        command: The line to type.
        output: What it printed.
        example: The video it was run on, with the answer as probabilities.
    """

    intro: str
    command: str
    output: str = ""
    example: Example | None = None
