"""Class names to label numbers."""

from collections.abc import Sequence

import numpy as np

from keras_dynamonet.data.entry_table import EntryTable
from keras_dynamonet.data.listing import Listing
from keras_dynamonet.errors import UserError

UNLABELLED = -1


def choose_class_names(
    listing: Listing, class_names: Sequence[str] | None
) -> tuple[str, ...]:
    """The classes of a data set, in the order of their labels.

    Those given win, then those that a file of the data set fixes, then the labels
    found: sorted names, or `"0"`, `"1"`, ... up to the largest number.

    Args:
        listing: The videos of all splits.
        class_names: Classes that the user or a model gives.

    Raises:
        UserError: A name is given twice.

    Example:

    >>> from pathlib import Path
    >>> from keras_dynamonet.data.entry_table import Entry
    >>> entries = [Entry("a.mp4", "run"), Entry("b.mp4", "jump")]
    >>> choose_class_names(Listing("csv", Path("."), entries), None)
    ('jump', 'run')
    """
    names = tuple(class_names or listing.class_names or ())
    if not names:
        labels = listing.entries.label_names
        numbers = [_as_number(label) for label in labels]
        if listing.numeric_labels and None not in numbers:
            return tuple(str(k) for k in range(max(numbers, default=-1) + 1))
        return tuple(sorted(labels))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"The class {twice[0]!r} is named twice in the class names.")
    return names


def number_labels(
    entries: EntryTable, class_names: Sequence[str], numeric_labels: bool
) -> np.ndarray:
    """Labels as indices into `class_names`.

    Args:
        entries: The videos.
        class_names: Classes in the order of the labels.
        numeric_labels: Whether a label such as `"3"` that is no class name is a number.

    Returns:
        int32, shape `(entries,)`; -1 for no label or the number -1.

    Raises:
        UserError: A class is unknown or a number out of range; names the line.

    Example:

    >>> from keras_dynamonet.data.entry_table import Entry
    >>> entries = [Entry("a.mp4", "run"), Entry("b.mp4", "0"), Entry("c.mp4")]
    >>> table = EntryTable.from_entries(entries)
    >>> number_labels(table, ("jump", "run"), True).tolist()
    [1, 0, -1]
    """
    index = {name: k for k, name in enumerate(class_names)}
    # One number for each different label; the last place is that of no label at all.
    numbers = np.full(len(entries.label_names) + 1, UNLABELLED, np.int32)
    _, first_rows = np.unique(entries.labels, return_index=True)
    for row in np.sort(first_rows):
        entry = entries[row]
        if entry.label is None:
            continue
        label = index.get(entry.label)
        if label is None and numeric_labels:
            label = _as_number(entry.label)
        where = f"{entry.source}: " if entry.source else ""
        if label is None:
            known = ", ".join(map(str, class_names[:5]))
            more = f" and {len(class_names) - 5} more" if len(class_names) > 5 else ""
            raise UserError(
                f"{where}{entry.path} has the unknown class {entry.label!r}. "
                f"Known classes: {known}{more}."
            )
        if not UNLABELLED <= label < len(class_names):
            raise UserError(
                f"{where}{entry.path} has the label {label}, out of range for "
                f"{len(class_names)} classes: use 0 to {len(class_names) - 1}, or -1 "
                "for no label."
            )
        numbers[entries.labels[row]] = label
    return numbers[entries.labels]


def _as_number(label: str) -> int | None:
    try:
        return int(label)
    except ValueError:
        return None
