"""Number lines that put a result between what it is to be compared with."""

from dataclasses import dataclass

from keras_dynamonet.reports.intervals import wilson_interval
from keras_dynamonet.reports.results import Bounds, Classification
from keras_dynamonet.reports.wording import decibels, percent


@dataclass(frozen=True)
class Mark:
    """A tick on a number line, at `place` per cent of its width.

    `kind` picks the colour, `row` is 0 for words right under the line and 1 for one
    line lower, `anchor` keeps the words inside the line's ends.
    """

    place: float
    text: str
    kind: str = "floor"
    row: int = 0

    @property
    def anchor(self) -> str:
        return "start" if self.place < 25 else "end" if self.place > 75 else ""


@dataclass(frozen=True)
class Gauge:
    """A number line.

    Args:
        place: Where the result lies, in per cent of the width.
        marks: What it is compared with.
        span: Start and width of a coloured stretch, likewise.
        description: All of it in words.
    """

    place: float
    marks: tuple[Mark, ...]
    span: tuple[float, float]
    description: str

    @property
    def rows(self) -> int:
        """Lines of words under the gauge."""
        return 1 + max((mark.row for mark in self.marks), default=0)


def accuracy_gauge(result: Classification) -> Gauge:
    """Accuracy with its interval between 0 and 100 %."""
    low, high = wilson_interval(result.correct, result.videos)
    levels = [(result.chance, f"guessing {percent(result.chance)}")]
    ceiling = result.order_blind_ceiling
    if ceiling is not None:
        levels.append((ceiling, f"order-blind {percent(ceiling)}"))
    return Gauge(
        place=100 * result.accuracy,
        marks=tuple(
            Mark(100 * level, text, row=row) for row, (level, text) in enumerate(levels)
        ),
        span=(100 * low, 100 * (high - low)),
        description=(
            f"Accuracy {percent(result.accuracy)}, 95 % interval {percent(low)} to "
            f"{percent(high)}; " + ", ".join(text for _, text in levels)
        ),
    )


def psnr_gauge(bounds: Bounds) -> Gauge:
    """The model between copying and the best possible filter."""
    points = [bounds.floor, bounds.model]
    if bounds.ceiling is not None:
        points.append(bounds.ceiling)
    low, high = min(points), max(points)
    margin = 0.08 * max(high - low, 0.1)
    start, width = low - margin, high - low + 2 * margin

    def place(value: float) -> float:
        return 100 * (value - start) / width

    marks = [Mark(place(bounds.floor), f"copy {decibels(bounds.floor)}")]
    if bounds.ceiling is not None:
        text = f"best filter {decibels(bounds.ceiling)}"
        marks.append(Mark(place(bounds.ceiling), text, "ceiling", row=1))
    left, right = sorted((place(bounds.floor), place(bounds.model)))
    return Gauge(
        place=place(bounds.model),
        marks=tuple(marks),
        span=(left, right - left),
        description=f"Model {decibels(bounds.model)}, "
        + ", ".join(mark.text for mark in marks),
    )
