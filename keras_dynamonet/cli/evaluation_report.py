"""Turns what an evaluation found into the parts of a report."""

from collections.abc import Mapping, Sequence

from keras_dynamonet.reports.contents import Report
from keras_dynamonet.reports.results import Bounds, Classification, FramePrediction
from keras_dynamonet.training.evaluation import EvaluationResult
from keras_dynamonet.training.frame_quality import FrameBounds


def evaluation_report(
    result: EvaluationResult,
    *,
    title: str,
    subtitle: str = "",
    history: Sequence[Mapping[str, float]] = (),
) -> Report:
    """A report of any evaluated run: add what else there is with `dataclasses.replace`.

    Args:
        result: What was found.
        title: The page's title.
        subtitle: One line under it.
        history: One row an epoch, as in a run's `history.csv`.

    Example:

    ```python
    report = evaluation_report(evaluate(trained, manifest), title="My videos")
    write_report(report, "report.html")
    ```
    """
    return Report(
        title,
        subtitle=subtitle,
        classification=classification_of(result),
        frame_prediction=frame_prediction_of(result),
        history=columns(history),
    )


def classification_of(
    result: EvaluationResult,
    *,
    order_blind_ceiling: float | None = None,
    opposites: Sequence[tuple[int, int]] = (),
) -> Classification | None:
    """The recognition part, or `None` where nothing has a label."""
    found = result.classification
    if found is None:
        return None
    several = result.protocol.num_clips * result.protocol.num_crops > 1
    return Classification(
        result.class_names,
        found.confusion,
        order_blind_ceiling=order_blind_ceiling,
        opposites=opposites,
        protocol=str(result.protocol),
        top5_accuracy=found.top5_accuracy.value,
        clip_accuracy=found.clip_accuracy.value if several else None,
        trained_on=found.trained_on,
    )


def frame_prediction_of(
    result: EvaluationResult, *, note: str = ""
) -> FramePrediction | None:
    """The next-frame part, or `None` where it was not measured."""
    quality = result.frame_quality
    if quality is None:
        return None
    return FramePrediction(
        _bounds(quality.observed), _bounds(quality.unseen), quality.clips, note
    )


def columns(history: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """One list a quantity from one row an epoch.

    Example:

    >>> columns([{"loss": 2.0}, {"loss": 1.0}])
    {'loss': [2.0, 1.0]}
    """
    names = dict.fromkeys(name for row in history for name in row)
    return {name: [row[name] for row in history if name in row] for name in names}


def _bounds(found: FrameBounds | None) -> Bounds | None:
    return found and Bounds(found.floor, found.model, found.ceiling)
