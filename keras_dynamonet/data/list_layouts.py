"""Layouts in one text file: CSV with `path,label`, and plain lists."""

import csv
from pathlib import Path

from keras_dynamonet.data.listing import (
    Entry,
    Listing,
    canonical_split,
    is_video_file,
    read_lines,
)
from keras_dynamonet.errors import UserError

# What the columns may be called in a header line.
_COLUMN_NAMES = {
    "path": ("path", "video", "video_path", "file", "filename", "filepath", "clip"),
    "label": ("label", "class", "class_name", "action", "target", "category"),
    "split": ("split", "subset", "set", "fold", "partition"),
}


def read_csv(data: Path, video_root: Path | None = None) -> Listing:
    """Reads `path,label[,split]`, with or without a header line.

    Fields are separated by comma, semicolon or tab; quotes work as in spreadsheets.
    With a header the columns may stand in any order among others. An empty label, or
    no label column, means unlabelled.

    Args:
        data: The CSV file.
        video_root: Folder that relative paths start from; None is that of the file.

    Raises:
        UserError: A line lacks its path, or the header has no column of paths.
    """
    rows = _read_rows(data)
    columns = {"path": 0, "label": 1, "split": 2}
    if rows and _is_header(rows[0][1]):
        columns = _find_columns(rows[0][1], data)
        rows = rows[1:]
    entries = []
    for number, row in rows:
        source = f"{data}, line {number}"
        values = {
            name: row[place].strip() if place < len(row) else ""
            for name, place in columns.items()
        }
        if not values["path"]:
            raise UserError(f"{source}: has no path. Write one `path,label` a line.")
        split = values.get("split")
        entries.append(
            Entry(
                values["path"],
                values.get("label") or None,
                canonical_split(split) if split else None,
                source,
            )
        )
    return Listing("csv", video_root or data.parent, entries, numeric_labels=True)


def read_text_list(data: Path, video_root: Path | None = None) -> Listing:
    """Reads one `path label` or `path` a line; paths may hold spaces.

    A line that ends like a video file is a path alone; otherwise the last word is the
    label. `path,label` is read too.

    Args:
        data: The text file.
        video_root: Folder that relative paths start from; None is that of the file.
    """
    entries = []
    for number, line in read_lines(data):
        path, label = line, None
        if not is_video_file(line):
            for separator in (",", None):
                head, *tail = line.rsplit(separator, 1)
                if tail and head.strip():
                    path, label = head.strip(), tail[0].strip() or None
                    break
        entries.append(Entry(path, label, None, f"{data}, line {number}"))
    return Listing("text", video_root or data.parent, entries, numeric_labels=True)


def csv_header(data: Path) -> list[str]:
    """The first row of a CSV file, in lower case; empty for an empty file."""
    rows = _read_rows(data)
    return [cell.strip().lower() for cell in rows[0][1]] if rows else []


def read_csv_rows(data: Path) -> list[tuple[int, dict[str, str]]]:
    """Numbered rows of a CSV file with a header, by column name in lower case."""
    header = csv_header(data)
    return [
        (number, dict(zip(header, map(str.strip, row), strict=False)))
        for number, row in _read_rows(data)[1:]
    ]


def _read_rows(data: Path) -> list[tuple[int, list[str]]]:
    lines = read_lines(data)
    if not lines:
        return []
    first = lines[0][1]
    delimiter = max(",;\t", key=first.count) if "," not in first else ","
    # One row a line: a path with a line break in it is a mistake, not a file.
    return [
        (number, next(csv.reader([line], delimiter=delimiter)))
        for number, line in lines
    ]


def _is_header(row: list[str]) -> bool:
    return row[0].strip().lower() in {
        name for names in _COLUMN_NAMES.values() for name in names
    } or any(cell.strip().lower() in _COLUMN_NAMES["path"] for cell in row)


def _find_columns(header: list[str], data: Path) -> dict[str, int]:
    cells = [cell.strip().lower() for cell in header]
    columns = {}
    for column, names in _COLUMN_NAMES.items():
        for place, cell in enumerate(cells):
            if cell in names:
                columns.setdefault(column, place)
    if "path" not in columns:
        raise UserError(
            f"{data}: no column of paths in the header {', '.join(header)}. "
            "Call it `path`."
        )
    return columns
