"""Layouts in one text file: CSV with `path,label`, and plain lists."""

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path

from keras_dynamonet.data.entry_table import Entry
from keras_dynamonet.data.listing import (
    Listing,
    canonical_split,
    is_video_file,
    read_lines,
    read_table_lines,
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
    entries = _csv_entries(data)
    return Listing("csv", video_root or data.parent, entries, numeric_labels=True)


def read_text_list(data: Path, video_root: Path | None = None) -> Listing:
    """Reads one `path label` or `path` a line; paths may hold spaces.

    A line that ends like a video file is a path alone; otherwise the last word is the
    label. `path,label` is read too.

    Args:
        data: The text file.
        video_root: Folder that relative paths start from; None is that of the file.
    """
    entries = _text_entries(data)
    return Listing("text", video_root or data.parent, entries, numeric_labels=True)


def csv_header(data: Path) -> list[str]:
    """The first row of a CSV file, in lower case; empty for an empty file."""
    _, first = next(_read_rows(data), (0, []))
    return [cell.strip().lower() for cell in first]


def read_csv_rows(data: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields numbered rows of a CSV file with a header, by lower-case column name."""
    header = csv_header(data)
    for number, row in itertools.islice(_read_rows(data), 1, None):
        yield number, dict(zip(header, map(str.strip, row), strict=False))


def _csv_entries(data: Path) -> Iterator[Entry]:
    columns = {"path": 0, "label": 1, "split": 2}
    for place, (number, row) in enumerate(_read_rows(data)):
        if place == 0 and _is_header(row):
            columns = _find_columns(row, data)
            continue
        values = {
            name: row[place].strip() if place < len(row) else ""
            for name, place in columns.items()
        }
        split = values.get("split")
        entry = Entry(
            values["path"],
            values.get("label") or None,
            canonical_split(split) if split else None,
            str(data),
            number,
        )
        if not entry.path:
            raise UserError(
                f"{entry.source}: has no path. Write one `path,label` a line."
            )
        yield entry


def _text_entries(data: Path) -> Iterator[Entry]:
    for number, line in read_lines(data):
        path, label = line, None
        if not is_video_file(line):
            splits = [line.rsplit(separator, 1) for separator in (",", None)]
            splits = [parts for parts in splits if len(parts) == 2 and parts[0].strip()]
            # `Smith, John/a.mp4 walk`: the comma belongs to the name.
            splits.sort(key=lambda parts: not is_video_file(parts[0].strip()))
            if splits:
                path, label = splits[0][0].strip(), splits[0][1].strip() or None
        yield Entry(path, label, None, str(data), number)


def _read_rows(data: Path) -> Iterator[tuple[int, list[str]]]:
    delimiter = None
    for number, line in read_table_lines(data):
        if delimiter is None:
            delimiter = _delimiter(line)
        # One row a line: a path with a line break in it is a mistake, not a file.
        yield number, next(csv.reader([line], delimiter=delimiter))


def _delimiter(line: str) -> str:
    """What parts the cells of a list, to judge by its first line."""
    for delimiter in ",;\t":
        row = next(csv.reader([line], delimiter=delimiter))
        if len(row) > 1 and (_is_header(row) or any(map(is_video_file, row))):
            return delimiter
    return "," if "," in line else max(",;\t", key=line.count)


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
