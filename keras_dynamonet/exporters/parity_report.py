"""Parity for people and machines: `parity.json`, Markdown, rows of a table."""

import contextlib
import json
from collections.abc import Collection, Iterable
from pathlib import Path

from keras_dynamonet.exporters.accuracy import AccuracyComparison
from keras_dynamonet.exporters.parity import PROVING_CLIPS, ParityReport
from keras_dynamonet.files import atomic_path
from keras_dynamonet.strict_json import strict

FILE_NAME = "parity.json"
NOT_RUN = "the engine has not run"
"""In the name of a runtime: what it ran is the engine's ONNX model."""

COLUMNS = (
    "artefact",
    "output",
    "runtime",
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
_TEXT_COLUMNS = COLUMNS[:3]


def has_run(runtime: str) -> bool:
    """Whether an artefact itself was compared, not what an engine was built from.

    Args:
        runtime: What computed, as reports and sidecars name it.

    Example:

    >>> has_run("tensorrt_rtx 1.7"), has_run(f"onnxruntime 1.23 ({NOT_RUN}: no GPU)")
    (True, False)
    """
    return NOT_RUN not in runtime


def write_parity(
    folder: Path,
    reports: Iterable[ParityReport],
    *,
    source: str = "",
    accuracy: Iterable[AccuracyComparison] = (),
    gone: Collection[str] = (),
) -> Path:
    """Writes `parity.json` and `parity.md` beside the artefacts.

    Entries of artefacts that were not exported this time are kept, but nothing that is
    no such entry. Numbers that are not finite become null: JSON has no words for them.

    Args:
        folder: Where the artefacts are.
        reports: The new comparisons.
        source: Where the clips come from.
        accuracy: New comparisons of accuracy.
        gone: Artefacts that are no more, or others than they were; their entries are
            not kept.

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
    document = strict(document)
    with atomic_path(path) as temporary:
        text = json.dumps(document, indent=2, allow_nan=False)
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
    entry = comparison.to_json()
    return (*_accuracy_cells(entry)[:-1], _verdict(entry))


def table_rows(report: ParityReport) -> list[tuple[str, ...]]:
    """The cells under `COLUMNS`, one row for each output, without reasons."""
    return [(*_cells(entry)[:-1], _verdict(entry)) for entry in report.to_json()]


def _cells(entry):
    return (
        entry["artefact"],
        entry["output"],
        # Entries of earlier exports may lack this and others below.
        entry.get("runtime", ""),
        _clips(entry),
        _number(entry["max_absolute"]),
        _number(entry["max_relative"]),
        _cosine(entry["cosine"]),
        _cosine(entry.get("least_cosine")),
        _number(entry.get("largest_distance")),
        "" if entry["top1_agreement"] is None else f"{entry['top1_agreement']:.1%}",
        _verdict_with_reasons(entry),
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
        _verdict_with_reasons(entry),
    )


def _verdict(entry):
    verdict = "ok" if entry["passed"] else "FAILED"
    itself = has_run(entry.get("runtime", ""))
    return verdict if itself else f"{verdict}, of its ONNX model"


def _verdict_with_reasons(entry):
    verdict = _verdict(entry)
    if not entry["passed"]:
        return f"{verdict}: {', '.join(entry['problems'])}"
    return f"{verdict}, a weak proof" if entry.get("weak") else verdict


def _clips(entry):
    count, distinct = entry["clips"], entry.get("distinct_clips")
    return str(count) if distinct in (None, count) else f"{count} ({distinct} distinct)"


def _cosine(value):
    return "" if value is None else f"{value:.6f}"


def _markdown_table(columns, rows):
    text = sum(column in _TEXT_COLUMNS for column in columns)
    yield "| " + " | ".join(columns) + " |"
    yield "|" + " --- |" * text + " ---: |" * (len(columns) - text - 1) + " --- |"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _number(value):
    return "" if value is None else f"{value:.1e}"


def _read(path):
    """The entries of an earlier document; none if there is none that can be read."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {
        "entries": _fitting(document.get("entries"), _cells),
        "accuracy": _fitting(document.get("accuracy"), _accuracy_cells),
    }


def _fitting(entries, cells):
    """Those that make a row of a table: the file may hold anything."""
    found = []
    for entry in entries if isinstance(entries, list) else ():
        # What lacks a key, or has text for a number, is no entry of ours.
        with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
            " | ".join(cells(entry))
            found.append(entry)
    return found
