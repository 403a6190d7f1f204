"""Parity for people and machines: `parity.json`, Markdown, rows of a table."""

import json
from collections.abc import Iterable
from pathlib import Path

from keras_dynamonet.exporters.parity import ParityReport
from keras_dynamonet.files import atomic_path

FILE_NAME = "parity.json"
COLUMNS = (
    "artefact",
    "output",
    "clips",
    "max abs",
    "max rel",
    "cosine",
    "top-1",
    "verdict",
)


def write_parity(
    folder: Path, reports: Iterable[ParityReport], *, source: str = ""
) -> Path:
    """Writes `parity.json` and `parity.md` beside the artefacts.

    Entries of artefacts that were not exported this time are kept.

    Args:
        folder: Where the artefacts are.
        reports: The new comparisons.
        source: Where the clips come from.

    Returns:
        The path of the JSON file: `{"entries": [...]}`, one entry for each artefact
        and output.
    """
    path = folder / FILE_NAME
    entries = [
        {**entry, "clips_from": source}
        for report in reports
        for entry in report.to_json()
    ]
    new = {entry["artefact"] for entry in entries}
    kept = [entry for entry in _read(path) if entry["artefact"] not in new]
    entries = [*kept, *entries]
    with atomic_path(path) as temporary:
        document = json.dumps({"entries": entries}, indent=2)
        temporary.write_text(document + "\n", encoding="utf-8")
    with atomic_path(path.with_suffix(".md")) as temporary:
        temporary.write_text(to_markdown(entries), encoding="utf-8")
    return path


def to_markdown(entries: Iterable[dict]) -> str:
    """A Markdown document of the entries of `parity.json`."""
    lines = [
        "# Exported artefacts beside Keras",
        "",
        "Relative differences are over the largest value of the output; the cosine is "
        "the mean over clips.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "| --- | --- |" + " ---: |" * (len(COLUMNS) - 3) + " --- |",
    ]
    for entry in entries:
        lines.append("| " + " | ".join(_cells(entry)) + " |")
    return "\n".join(lines) + "\n"


def table_rows(report: ParityReport) -> list[tuple[str, ...]]:
    """The cells under `COLUMNS`, one row for each output, without reasons."""
    return [
        (*_cells(entry)[:-1], "ok" if entry["passed"] else "FAILED")
        for entry in report.to_json()
    ]


def _cells(entry):
    verdict = "ok" if entry["passed"] else "FAILED: " + ", ".join(entry["problems"])
    return (
        entry["artefact"],
        entry["output"],
        str(entry["clips"]),
        _number(entry["max_absolute"]),
        _number(entry["max_relative"]),
        "" if entry["cosine"] is None else f"{entry['cosine']:.6f}",
        "" if entry["top1_agreement"] is None else f"{entry['top1_agreement']:.1%}",
        verdict,
    )


def _number(value):
    return "" if value is None else f"{value:.1e}"


def _read(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))["entries"]
    except (OSError, ValueError, KeyError):
        return []
