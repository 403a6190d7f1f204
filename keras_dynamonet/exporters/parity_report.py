"""Parity for people and machines: `parity.json`, Markdown, rows of a table."""

import json
from collections.abc import Collection, Iterable
from pathlib import Path

from keras_dynamonet.exporters.accuracy import AccuracyComparison
from keras_dynamonet.exporters.parity import PROVING_CLIPS, ParityReport
from keras_dynamonet.files import atomic_path

FILE_NAME = "parity.json"
COLUMNS = (
    "artefact",
    "output",
    "clips",
    "max abs",
    "max rel",
    "cosine",
    "least cosine",
    "distance",
    "top-1",
    "verdict",
)
ACCURACY_COLUMNS = (
    "artefact",
    "videos",
    "Keras",
    "exported",
    "points lost",
    "same class",
    "max abs",
    "verdict",
)


def write_parity(
    folder: Path,
    reports: Iterable[ParityReport],
    *,
    source: str = "",
    accuracy: Iterable[AccuracyComparison] = (),
    gone: Collection[str] = (),
) -> Path:
    """Writes `parity.json` and `parity.md` beside the artefacts.

    Entries of artefacts that were not exported this time are kept.

    Args:
        folder: Where the artefacts are.
        reports: The new comparisons.
        source: Where the clips come from.
        accuracy: New comparisons of accuracy.
        gone: Artefacts that are no more; their entries are not kept.

    Returns:
        The path of the JSON file: `{"entries": [...], "accuracy": [...]}`, one entry
        for each artefact and output, and one for each artefact whose accuracy was
        measured.
    """
    path = folder / FILE_NAME
    document = {
        "entries": [
            {**entry, "clips_from": source}
            for report in reports
            for entry in report.to_json()
        ],
        "accuracy": [comparison.to_json() for comparison in accuracy],
    }
    old = _read(path)
    # A new artefact of the same name has another accuracy.
    new = {entry["artefact"] for part in document.values() for entry in part}
    dropped = new | set(gone)
    for part, entries in document.items():
        kept = [e for e in old.get(part, ()) if e["artefact"] not in dropped]
        entries[:0] = kept
    with atomic_path(path) as temporary:
        text = json.dumps(document, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")
    with atomic_path(path.with_suffix(".md")) as temporary:
        temporary.write_text(to_markdown(**document), encoding="utf-8")
    return path


def to_markdown(entries: Iterable[dict], accuracy: Iterable[dict] = ()) -> str:
    """A Markdown document of the content of `parity.json`."""
    lines = [
        "# Exported artefacts beside Keras",
        "",
        "Relative differences are over the largest value of the output; the cosine is "
        "the mean over clips; the least cosine and the distance (norm of the "
        "difference over that of the output) are those of the worst clip. Fewer than "
        f"{PROVING_CLIPS} distinct clips are a weak proof.",
        "",
        *_markdown_table(COLUMNS, map(_cells, entries)),
    ]
    if accuracy:
        lines += [
            "",
            "Accuracy on labelled videos, the middle clip of each:",
            "",
            *_markdown_table(ACCURACY_COLUMNS, map(_accuracy_cells, accuracy)),
        ]
    return "\n".join(lines) + "\n"


def accuracy_row(comparison: AccuracyComparison) -> tuple[str, ...]:
    """The cells under `ACCURACY_COLUMNS`, without reasons."""
    verdict = "ok" if comparison else "FAILED"
    return (*_accuracy_cells(comparison.to_json())[:-1], verdict)


def table_rows(report: ParityReport) -> list[tuple[str, ...]]:
    """The cells under `COLUMNS`, one row for each output, without reasons."""
    return [
        (*_cells(entry)[:-1], "ok" if entry["passed"] else "FAILED")
        for entry in report.to_json()
    ]


def _cells(entry):
    return (
        entry["artefact"],
        entry["output"],
        _clips(entry),
        _number(entry["max_absolute"]),
        _number(entry["max_relative"]),
        _cosine(entry["cosine"]),
        # Entries of earlier exports may lack these.
        _cosine(entry.get("least_cosine")),
        _number(entry.get("largest_distance")),
        "" if entry["top1_agreement"] is None else f"{entry['top1_agreement']:.1%}",
        _verdict(entry),
    )


def _accuracy_cells(entry):
    return (
        entry["artefact"],
        str(entry["videos"]),
        f"{entry['keras']['value']:.2%}",
        f"{entry['exported']['value']:.2%}",
        f"{entry['lost_points']:+.2f}",
        f"{entry['top1_agreement']:.2%}",
        _number(entry["max_absolute"]),
        _verdict(entry),
    )


def _verdict(entry):
    if not entry["passed"]:
        return "FAILED: " + ", ".join(entry["problems"])
    return "ok, a weak proof" if entry.get("weak") else "ok"


def _clips(entry):
    count, distinct = entry["clips"], entry.get("distinct_clips")
    return str(count) if distinct in (None, count) else f"{count} ({distinct} distinct)"


def _cosine(value):
    return "" if value is None else f"{value:.6f}"


def _markdown_table(columns, rows):
    text = sum(column in ("artefact", "output") for column in columns)
    yield "| " + " | ".join(columns) + " |"
    yield "|" + " --- |" * text + " ---: |" * (len(columns) - text - 1) + " --- |"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _number(value):
    return "" if value is None else f"{value:.1e}"


def _read(path):
    """An earlier document; empty if there is none that can be read."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return document if isinstance(document, dict) else {}
    except (OSError, ValueError):
        return {}
