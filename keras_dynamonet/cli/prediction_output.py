"""Predictions as tables, CSV and JSON."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dynamonet.cli.output import make_table, result_console
from keras_dynamonet.files import atomic_path

if TYPE_CHECKING:
    from keras_dynamonet.training.prediction import Moment


@dataclass(frozen=True)
class Timeline:
    """What was said of one video, moment by moment.

    Args:
        path: The video.
        moments: In order of time; those before the damage if there is an error.
        error: Why the video could not be read to its end.
    """

    path: str
    moments: Sequence["Moment"]
    error: str | None = None


def show_videos(documents: Sequence[dict[str, Any]]) -> None:
    """Prints the classes of whole videos with bars.

    Args:
        documents: One a video: `path`, and `top` as of :func:`classes_json` or `error`.
    """
    console = result_console()
    for document in documents:
        console.print(document["path"], markup=False, style="bold")
        if "error" in document:
            console.print(f"  cannot be read: {document['error']}", markup=False)
            continue
        width = max(len(row["action"]) for row in document["top"])
        for row in document["top"]:
            percent = 100 * row["probability"]
            bar = "█" * round(percent / 5)
            line = f"  {row['action']:<{width}}  {percent:5.1f} %  {bar}"
            console.print(line.rstrip(), markup=False)


def show_timelines(timelines: Sequence[Timeline], class_names: Sequence[str]) -> None:
    """Prints a table of the stretches with one action for each video."""
    from keras_dynamonet.training.prediction import merge_moments

    console = result_console()
    for timeline in timelines:
        columns = ("from", "to", "action", "probability")
        table = make_table(*columns, numbers=("from", "to", "probability"))
        for segment in merge_moments(timeline.moments):
            table.add_row(
                format_clock(segment.start_seconds),
                format_clock(segment.end_seconds),
                class_names[segment.label],
                f"{100 * segment.probability:.0f} %",
            )
        console.print(timeline.path, markup=False, style="bold")
        if timeline.moments:
            console.print(table)
        if timeline.error is not None:
            what = "ends here" if timeline.moments else "cannot be read"
            console.print(f"  {what}: {timeline.error}", markup=False)


def write_timelines_csv(
    path: str | Path, timelines: Sequence[Timeline], class_names: Sequence[str]
) -> None:
    """Writes a row for each moment with the probabilities of all classes."""
    with (
        atomic_path(path) as temporary,
        temporary.open(
            "w", newline="", encoding="utf-8", errors="surrogateescape"
        ) as file,
    ):
        writer = csv.writer(file)
        writer.writerow(
            ["path", "start_seconds", "end_seconds", "action", *class_names]
        )
        for timeline in timelines:
            for moment in timeline.moments:
                shares = moment.probabilities
                writer.writerow(
                    [
                        timeline.path,
                        f"{moment.start_seconds:.3f}",
                        f"{moment.end_seconds:.3f}",
                        class_names[int(shares.argmax())],
                        *(f"{share:.6f}" for share in shares),
                    ]
                )


def timelines_json(
    timelines: Sequence[Timeline], class_names: Sequence[str]
) -> dict[str, Any]:
    """The same as a JSON document."""
    return {
        "class_names": list(class_names),
        "videos": [
            {
                "path": timeline.path,
                **({} if timeline.error is None else {"error": timeline.error}),
                "moments": [
                    {
                        **span_json(moment),
                        "probabilities": moment.probabilities.tolist(),
                    }
                    for moment in timeline.moments
                ],
            }
            for timeline in timelines
        ],
    }


def classes_json(best: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    """Names and probabilities for JSON."""
    return [{"action": name, "probability": share} for name, share in best]


def span_json(moment: "Moment") -> dict[str, float]:
    """Start and end of a moment for JSON, to the millisecond."""
    return {
        "start_seconds": round(moment.start_seconds, 3),
        "end_seconds": round(moment.end_seconds, 3),
    }


def format_clock(seconds: float) -> str:
    """Minutes and seconds.

    Example:

    >>> format_clock(62.51)
    '1:02.5'
    """
    minutes, seconds = divmod(round(seconds, 1), 60)
    return f"{int(minutes)}:{seconds:04.1f}"
