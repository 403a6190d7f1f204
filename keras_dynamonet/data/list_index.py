"""Long lists of videos, read and checked once and mapped into memory from then on.

Reading a list of a million lines and asking for the size of every file takes minutes
on a network's file system, and ten seconds at best. So the columns of a long list are
kept in the cache folder. They are used again as long as the list itself has the size
and the time that it had: videos that go missing later are found when they are read.
"""

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

from keras_dynamonet.data.cache_folder import cache_folder
from keras_dynamonet.data.entry_table import EntryTable
from keras_dynamonet.data.file_checks import (
    file_sizes,
    find_duplicates,
    missing_rows,
)
from keras_dynamonet.data.listing import Listing
from keras_dynamonet.data.places import absolute_path, as_folder
from keras_dynamonet.files import atomic_path

_logger = logging.getLogger(__name__)

# Some 50,000 lines: shorter lists are read in the blink of an eye.
_LONG_BYTES = 4 << 20
# Changes when the files or their meaning do.
_VERSION = 1
_STATE_FILE = "index.json"


def is_long_list(data: Path) -> bool:
    """Whether a file is a list that is worth an index."""
    return data.is_file() and data.stat().st_size >= _LONG_BYTES


def read_indexed(
    data: Path,
    layout: str,
    video_root: Path | str | None,
    read: Callable[[Path, Path | str | None], Listing],
) -> Listing:
    """Reads a list, or what is left of an earlier reading.

    A list in which every file is there and stands once is kept; others are not.

    Args:
        data: The list.
        layout: Name of its layout.
        video_root: Folder that the paths in the list start from; None looks for it.
        read: Reads the list; takes `data` and `video_root`.

    Returns:
        The listing, with the sizes of its videos.

    Raises:
        UserError: As `read` does.
    """
    state = _state(data, layout, video_root)
    folder = cache_folder() / "lists" / _name(state)
    listing = _load(folder, state)
    if listing is not None:
        return listing
    _logger.info("%s: indexing a long list, once", data)
    listing = read(data, video_root)
    entries = listing.entries
    if not len(entries) or find_duplicates(entries.paths):
        return listing
    entries = entries.with_sizes(file_sizes(listing.root, entries.paths))
    if missing_rows(listing.root, entries.paths, entries.sizes):
        return listing
    listing = dataclasses.replace(listing, entries=entries, verified=True)
    try:
        _save(folder, state, listing)
    except OSError as error:
        _logger.warning("%s: its index cannot be kept: %s", data, error)
    # Mapped rather than held, where that worked.
    return _load(folder, state) or listing


def _state(data: Path, layout: str, video_root: Path | str | None) -> dict:
    """What an index belongs to; the last two may change, then it is made anew."""
    status = data.stat()
    return {
        "list": os.path.abspath(data),
        "layout": layout,
        "video_root": None if video_root is None else absolute_path(video_root),
        "version": _VERSION,
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
    }


def _name(state: dict) -> str:
    parts = [state[key] for key in ("list", "layout", "video_root")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _load(folder: Path, state: dict) -> Listing | None:
    try:
        stored = json.loads((folder / _STATE_FILE).read_text(encoding="utf-8"))
        if stored.pop("state") != state:
            return None
        entries = EntryTable.load(folder)
    except (OSError, EOFError, ValueError, KeyError):
        return None  # made anew
    class_names = stored.pop("class_names")
    return Listing(
        root=as_folder(stored.pop("root")),
        entries=entries,
        class_names=None if class_names is None else tuple(class_names),
        verified=True,
        **stored,
    )


def _save(folder: Path, state: dict, listing: Listing) -> None:
    stored = {
        "state": state,
        "root": absolute_path(listing.root),
        "layout": listing.layout,
        "class_names": listing.class_names,
        "numeric_labels": listing.numeric_labels,
        "overlapping_splits": listing.overlapping_splits,
        "notes": listing.notes,
    }
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        listing.entries.save(temporary)
        text = json.dumps(stored, indent=2)
        (temporary / _STATE_FILE).write_text(text, encoding="utf-8")
