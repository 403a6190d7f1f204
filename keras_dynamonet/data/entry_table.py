"""The lines of a data set's lists as columns, and as files that can be mapped."""

import json
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_dynamonet.data.path_table import PathTable, row_numbers

_NAMES_FILE = "names.json"
_NONE = -1


@dataclass(frozen=True)
class Entry:
    """One video of a list.

    Attributes:
        path: Relative to the root of the listing, or absolute.
        label: Class name or number as the source has it; None for unlabelled.
        split: `"train"`, `"validation"`, `"test"` or another name; None without.
        file: The list that the entry stands in, for errors.
        line: Its line there, counted from 1; 0 for none.
    """

    path: str
    label: str | None = None
    split: str | None = None
    file: str = ""
    line: int = 0

    @property
    def source(self) -> str:
        """Where the entry stands, e.g. `"list.csv, line 3"`; empty if nowhere."""
        return f"{self.file}, line {self.line}" if self.line else self.file


class EntryTable(Sequence):
    """A read-only list of entries: a few flat arrays, however long it is.

    Attributes:
        paths: Of every entry.
        labels: Place in `label_names`, -1 for none: int32, shape `(entries,)`.
        splits: Place in `split_names`, -1 for none: int32, shape `(entries,)`.
        files: Place in `file_names`: int32, shape `(entries,)`.
        lines: int64, shape `(entries,)`.
        sizes: Bytes of each video, -1 where unknown: int64, shape `(entries,)`; None if
            nobody has looked.
        label_names: Labels in the order in which they were met first.
        split_names: Splits, likewise.
        file_names: Lists, likewise.

    Example:

    >>> table = EntryTable.from_entries([Entry("a.mp4", "run"), Entry("b.mp4")])
    >>> table[0].label, table.labels.tolist(), table.label_names
    ('run', [0, -1], ('run',))
    """

    _COLUMNS = ("labels", "splits", "files", "lines")
    _NAMES = ("label_names", "split_names", "file_names")
    # What `save` writes for a table with sizes.
    FILES = (
        _NAMES_FILE,
        *(f"{name}.npy" for name in ("path_text", "path_ends", "sizes")),
        *(f"{name}.npy" for name in _COLUMNS),
    )

    def __init__(
        self,
        paths: PathTable,
        columns: dict[str, np.ndarray],
        names: dict[str, Sequence[str]],
        sizes: np.ndarray | None = None,
    ):
        self.paths = paths
        self.labels, self.splits, self.files, self.lines = (
            np.asarray(columns[name]) for name in self._COLUMNS
        )
        self.label_names, self.split_names, self.file_names = (
            tuple(names[name]) for name in self._NAMES
        )
        self.sizes = None if sizes is None else np.asarray(sizes)

    @classmethod
    def from_entries(cls, entries: Iterable[Entry]) -> "EntryTable":
        """Makes a table of entries; one that is a table already is returned as it is.

        Args:
            entries: Read once, so a generator will do.
        """
        if isinstance(entries, EntryTable):
            return entries
        labels, splits, files, lines = (array(code) for code in "iiiq")
        names: tuple[dict[str, int], ...] = ({}, {}, {})

        def paths():
            for entry in entries:
                for known, column, name in zip(
                    names,
                    (labels, splits, files),
                    (entry.label, entry.split, entry.file),
                    strict=True,
                ):
                    column.append(
                        _NONE if name is None else known.setdefault(name, len(known))
                    )
                lines.append(entry.line)
                yield entry.path

        return cls(
            PathTable.from_strings(paths()),
            {
                "labels": np.array(labels, np.int32),
                "splits": np.array(splits, np.int32),
                "files": np.array(files, np.int32),
                "lines": np.array(lines, np.int64),
            },
            dict(zip(cls._NAMES, names, strict=True)),
        )

    def take(self, rows: Sequence[int] | Sequence[bool]) -> "EntryTable":
        """The entries at `rows`, in that order, or where a mask is true.

        Raises:
            ValueError: As `row_numbers` does.
        """
        rows = row_numbers(rows, len(self))
        return EntryTable(
            self.paths.take(rows),
            {name: column[rows] for name, column in self._columns().items()},
            self._names(),
            None if self.sizes is None else self.sizes[rows],
        )

    def with_sizes(self, sizes: np.ndarray) -> "EntryTable":
        """The same entries with the sizes of their videos."""
        return EntryTable(self.paths, self._columns(), self._names(), sizes)

    def with_file(self, name: str) -> "EntryTable":
        """The same entries as lines of a list of another name."""
        names = self._names() | {"file_names": (name,) * len(self.file_names)}
        return EntryTable(self.paths, self._columns(), names, self.sizes)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        return Entry(
            self.paths[index],
            _name(self.label_names, self.labels[index]),
            _name(self.split_names, self.splits[index]),
            self.file_names[self.files[index]],
            int(self.lines[index]),
        )

    def save(self, folder: Path) -> None:
        """Writes the columns as `.npy` files to an existing folder.

        Args:
            folder: Where; use `atomic_path` to make it whole or absent.
        """
        paths = self.paths.compact()
        columns = {"path_text": paths.text, "path_ends": paths.ends}
        columns |= self._columns()
        if self.sizes is not None:
            columns["sizes"] = self.sizes
        for name, column in columns.items():
            np.save(folder / f"{name}.npy", column)
        names = json.dumps(self._names())
        (folder / _NAMES_FILE).write_text(names, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "EntryTable":
        """Maps what `save` wrote into memory: nothing is read before it is used.

        Raises:
            OSError: A file is missing.
            ValueError: A file is damaged.
        """

        def column(name: str) -> np.ndarray:
            return np.load(folder / f"{name}.npy", mmap_mode="r")

        has_sizes = (folder / "sizes.npy").exists()
        return cls(
            PathTable(column("path_text"), column("path_ends")),
            {name: column(name) for name in cls._COLUMNS},
            json.loads((folder / _NAMES_FILE).read_text(encoding="utf-8")),
            column("sizes") if has_sizes else None,
        )

    def _columns(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in self._COLUMNS}

    def _names(self) -> dict[str, tuple[str, ...]]:
        return {name: getattr(self, name) for name in self._NAMES}


def _name(names: tuple[str, ...], place: int) -> str | None:
    return None if place == _NONE else names[place]
