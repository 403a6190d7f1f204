"""Tables of results, and where BUILD_NOTES keeps them."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.race import Result
from keras_dynamonet.files import atomic_path


@dataclass
class Table:
    """Rows under a title.

    Args:
        title: What was measured.
        columns: Their names.
        rows: Text, as many cells as there are columns.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Adds a row."""
        if len(cells) != len(self.columns):
            raise ValueError(
                f"A row of {self.title} needs {len(self.columns)} cells. "
                f"Received: {len(cells)}"
            )
        self.rows.append(cells)

    def to_markdown(self) -> str:
        """The table as Markdown."""
        lines = [
            f"{self.title}:",
            "",
            "| " + " | ".join(self.columns) + " |",
            "|" + " --- |" * len(self.columns),
            *("| " + " | ".join(row) + " |" for row in self.rows),
        ]
        return "\n".join(lines) + "\n"


def milliseconds(*seconds: float) -> str:
    """One time, or the range of several."""
    shown = [f"{1e3 * value:.3g}" for value in sorted(seconds)]
    return shown[0] if len(seconds) == 1 else f"{shown[0]} to {shown[-1]}"


def versus(ours: Result, peer: Result, target: float | None = None) -> str:
    """Time for a clip over that of a peer, its range over the rounds, and the verdict.

    Example: `0.93 (0.90 to 0.97), target 1.0: reached`.
    """
    ratio, ratios = ours.ratio(peer), sorted(ours.ratios(peer))
    text = f"{ratio:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    if target is None:
        return text
    verdict = "reached" if ratio <= target else "missed"
    return f"{text}, target {target:g}: {verdict}"


def write_section(notes: Path, name: str, text: str) -> None:
    """Replaces what stands between the markers of a section.

    Args:
        notes: The file; it must hold `<!-- benchmark:NAME -->` and `<!--
            /benchmark:NAME -->`.
        name: Of the section.
        text: New content.

    Raises:
        ValueError: If the markers are missing.
    """
    content = notes.read_text(encoding="utf-8")
    start, end = f"<!-- benchmark:{name} -->", f"<!-- /benchmark:{name} -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.S)
    if not pattern.search(content):
        raise ValueError(f"{notes} has no markers {start} and {end}.")
    section = f"{start}\n{text.strip()}\n{end}"
    with atomic_path(notes) as path:
        path.write_text(pattern.sub(lambda _: section, content), encoding="utf-8")
