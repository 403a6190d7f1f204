"""Many paths in two flat arrays: a million of them are two objects, not a million."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

# What `os.fsdecode` does with the bytes of file names that are no UTF-8.
_ENCODING = ("utf-8", "surrogateescape")
# Rows decoded in one go while iterating.
_CHUNK = 4096


def row_numbers(rows: Sequence[int] | Sequence[bool], count: int) -> np.ndarray:
    """Which rows of a table are meant, as numbers from 0 on: int64, shape `(taken,)`.

    Args:
        rows: Numbers of rows, negative ones from the end, or a mask with one value a
            row.
        count: Rows of the table.

    Raises:
        ValueError: A mask of another length, a row that is not there, or something else
            than whole numbers.

    Example:

    >>> row_numbers([0, -1], 3).tolist(), row_numbers([False, True, True], 3).tolist()
    ([0, 2], [1, 2])
    """
    rows = np.asarray(rows)
    if rows.shape == (0,) and rows.dtype != bool:
        return np.empty(0, np.int64)  # an empty list has no type of its own
    if rows.dtype == bool:
        if rows.shape != (count,):
            raise ValueError(
                "A mask must hold one value a row. "
                f"Received: a mask of shape {rows.shape} for {count} rows."
            )
        return np.flatnonzero(rows)
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(
            "Rows must be a list of whole numbers or a mask. "
            f"Received: {rows.dtype} of shape {rows.shape}."
        )
    if rows.min() < -count or rows.max() >= count:
        raise ValueError(
            f"Rows must lie in [-{count}, {count}). "
            f"Received: rows from {rows.min()} to {rows.max()}."
        )
    rows = rows.astype(np.int64)
    return np.where(rows < 0, rows + count, rows)


class PathTable(Sequence):
    """A read-only list of strings, kept as one text and the places where each ends.

    Behaves as a tuple of strings does, but holds 8 bytes beside the characters of each;
    its arrays may be memory-mapped files. `take` gives another order or a part without
    copying the text.

    Args:
        text: All strings in one row, UTF-8: uint8, shape `(bytes,)`.
        ends: Where each string ends in `text`: int64, shape `(strings,)`.
        rows: Which strings, in which order; None for all.

    Example:

    >>> table = PathTable.from_strings(["a.mp4", "läuft/b.mp4"])
    >>> table[1], len(table.take([1, 1, 0]))
    ('läuft/b.mp4', 3)
    """

    def __init__(
        self, text: np.ndarray, ends: np.ndarray, rows: np.ndarray | None = None
    ):
        # Plain arrays: every slice of an `np.memmap` would cost an object of its own.
        self.text, self.ends = np.asarray(text), np.asarray(ends)
        self.rows = rows
        self._bytes = memoryview(self.text)

    @classmethod
    def from_strings(cls, strings: Iterable[str]) -> "PathTable":
        """Makes a table of strings; one that is a table already is returned as it is.

        Args:
            strings: Read once, so a generator will do.
        """
        if isinstance(strings, PathTable):
            return strings
        text = bytearray()

        def ends() -> Iterator[int]:
            for string in strings:
                text.extend(string.encode(*_ENCODING))
                yield len(text)

        end_array = np.fromiter(ends(), np.int64)
        return cls(np.frombuffer(text, np.uint8), end_array)

    def take(self, rows: Sequence[int] | Sequence[bool]) -> "PathTable":
        """The strings at `rows`, in that order, or where a mask is true.

        Raises:
            ValueError: As `row_numbers` does.
        """
        rows = row_numbers(rows, len(self))
        if self.rows is not None:
            rows = self.rows[rows]
        return PathTable(self.text, self.ends, rows)

    def compact(self) -> "PathTable":
        """The same strings in arrays of their own, without those not taken."""
        return self if self.rows is None else PathTable.from_strings(iter(self))

    def __len__(self) -> int:
        return len(self.ends if self.rows is None else self.rows)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        if not -len(self) <= index < len(self):
            raise IndexError(f"There is no string {index} among {len(self)}.")
        row = int(index) if self.rows is None else int(self.rows[index])
        row %= len(self.ends)
        begin = int(self.ends[row - 1]) if row else 0
        return str(self._bytes[begin : int(self.ends[row])], *_ENCODING)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _CHUNK):
            stop = min(start + _CHUNK, len(self))
            rows = (
                np.arange(start, stop) if self.rows is None else self.rows[start:stop]
            )
            ends = self.ends[rows].tolist()
            begins = np.where(rows > 0, self.ends[rows - 1], 0).tolist()
            for begin, end in zip(begins, ends, strict=True):
                yield str(self._bytes[begin:end], *_ENCODING)

    def __eq__(self, other) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(map(str.__eq__, self, other))

    __hash__ = None

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, itertools.islice(self, 3)))
        more = f", ... {len(self) - 3:,} more" if len(self) > 3 else ""
        return f"PathTable({shown}{more})"
