"""Whether the files of a list are there, and there once."""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from keras_dynamonet.data.entry_table import EntryTable
from keras_dynamonet.data.path_table import PathTable
from keras_dynamonet.data.places import is_remote, join_path
from keras_dynamonet.data.shards import PackedAddress
from keras_dynamonet.errors import UserError

# Asking for a size is waiting, on a network's file system for milliseconds.
_THREADS = 16
_CHUNK = 2048


def file_size(path: str) -> int:
    """Bytes of a file, -1 for one that is not there or lies elsewhere.

    Of a packed video, which is there if its shard is, those of the whole shard.
    """
    if is_remote(path):
        return -1
    packed = PackedAddress.parse(path) if ".tfrecord#" in path else None
    try:
        return os.stat(packed.shard if packed else path).st_size
    except OSError:
        return -1


def file_sizes(root: Path | str, paths: PathTable) -> np.ndarray:
    """Bytes of each file, see :func:`file_size`.

    Args:
        root: Folder that relative paths start from, or its address.
        paths: The files.

    Returns:
        int64, shape `(files,)`.

    Example:

    >>> file_sizes(Path("/"), PathTable.from_strings(["no such file"])).tolist()
    [-1]
    """

    def sizes_from(start: int) -> list[int]:
        chunk = paths[start : start + _CHUNK]
        return [file_size(join_path(root, path)) for path in chunk]

    starts = range(0, len(paths), _CHUNK)
    with ThreadPoolExecutor(min(_THREADS, max(1, len(starts)))) as pool:
        sizes = itertools.chain.from_iterable(pool.map(sizes_from, starts))
        return np.fromiter(sizes, np.int64, len(paths))


def find_duplicates(paths: PathTable) -> list[int]:
    """Rows of the path that stands in a list most often, or none if all differ.

    `a.mp4` and `./a.mp4` are the same path.

    Example:

    >>> find_duplicates(PathTable.from_strings(["a", "b", "./a"]))
    [0, 2]
    """
    # Numbers instead of strings: a set of a million strings takes 150 MB.
    hashes = np.fromiter(
        (hash(os.path.normpath(path)) for path in paths), np.int64, len(paths)
    )
    _, first_rows, counts = np.unique(hashes, return_index=True, return_counts=True)
    most = np.argmax(counts)
    if counts[most] == 1:
        return []
    path = os.path.normpath(paths[first_rows[most]])
    alike = np.flatnonzero(hashes == hashes[first_rows[most]])
    return [int(row) for row in alike if os.path.normpath(paths[row]) == path]


def refuse_duplicates(entries: EntryTable, data: str | os.PathLike) -> None:
    """Raises if a list names a video twice.

    Args:
        entries: What the list says.
        data: The list, for the error.

    Raises:
        UserError: Names the video and the lines.
    """
    twice = find_duplicates(entries.paths)
    if twice:
        path = os.path.normpath(entries.paths[twice[0]])
        lines = [entries[row].source for row in twice]
        raise UserError(
            f"{data}: {path} is listed {len(twice)} times ({'; '.join(lines[:3])}). "
            "List each video once."
        )


def missing_rows(root: Path | str, paths: PathTable, sizes: np.ndarray) -> list[int]:
    """Rows of the files that should be on this machine, but are not.

    Args:
        root: Folder that relative paths start from, or its address.
        paths: The files.
        sizes: From `file_sizes`.
    """
    return [
        int(row)
        for row in np.flatnonzero(sizes < 0)
        if not is_remote(join_path(root, paths[row]))
    ]


def refuse_missing(entries: EntryTable, root: Path | str) -> None:
    """Raises if a list names videos that are not there.

    Nobody asks a server for each of a million files: a remote one that is missing is
    found when it is read.

    Args:
        entries: What the list says.
        root: Folder that relative paths start from, or its address.

    Raises:
        UserError: Names the first one and its line.
    """
    missing = missing_rows(root, entries.paths, file_sizes(root, entries.paths))
    if missing:
        first = entries[missing[0]]
        raise UserError(
            f"{first.source}: {first.path} does not exist below {root} "
            f"({len(missing)} of {len(entries)} listed videos are missing). Mend the "
            "list or give the right `video_root`."
        )
