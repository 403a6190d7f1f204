"""The table of layouts, and how one is recognised."""

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keras_dynamonet.data.benchmark_layouts import (
    looks_like_hmdb51,
    looks_like_kinetics,
    looks_like_ucf101,
    read_hmdb51,
    read_kinetics,
    read_ucf101,
)
from keras_dynamonet.data.downloads import local_copy
from keras_dynamonet.data.entry_table import Entry
from keras_dynamonet.data.folder_layouts import (
    looks_like_class_folders,
    read_class_folders,
    read_unlabelled,
)
from keras_dynamonet.data.list_index import is_long_list, read_indexed
from keras_dynamonet.data.list_layouts import read_csv, read_text_list
from keras_dynamonet.data.listing import Listing, is_video_file
from keras_dynamonet.data.packed_layout import (
    fetch_packed,
    looks_like_packed,
    read_packed,
)
from keras_dynamonet.data.places import as_folder, is_remote
from keras_dynamonet.errors import UsageError, UserError


@dataclass(frozen=True)
class Layout:
    """How one layout is recognised and read.

    Attributes:
        description: For the sentence "DATA read as ...".
        matches: Whether a path looks like it.
        read: Reads it; takes the path and the folder of the videos or None.
        takes_file: Whether a file can have this layout.
        takes_folder: Whether a folder can have this layout.
        lists_files: Whether it names files that may not be there.
    """

    description: str
    matches: Callable[[Path], bool]
    read: Callable[[Path, Path | None], Listing]
    takes_file: bool = True
    takes_folder: bool = True
    lists_files: bool = True


def _is_csv(data: Path) -> bool:
    return data.is_file() and data.suffix.lower() in (".csv", ".tsv")


def _holds_videos_only(data: Path) -> bool:
    return data.is_dir() or is_video_file(data)


# What a remote file with such an ending is.
_LIST_ENDINGS = {".csv": "csv", ".tsv": "csv", ".txt": "text", ".lst": "text"}

# Text that would be read as a list of paths, a line each.
_NO_LISTS = (".json", ".jsonl", ".md", ".py", ".toml", ".yaml", ".yml")

# In the order in which they are tried; the last two match what is left.
LAYOUTS = {
    "packed": Layout(
        "packed shards",
        looks_like_packed,
        read_packed,
        takes_file=False,
        lists_files=False,
    ),
    "ucf101": Layout("UCF101 split files", looks_like_ucf101, read_ucf101),
    "hmdb51": Layout(
        "HMDB51 split files", looks_like_hmdb51, read_hmdb51, takes_file=False
    ),
    "kinetics": Layout(
        "a Kinetics list",
        looks_like_kinetics,
        read_kinetics,
        takes_folder=False,
        lists_files=False,
    ),
    "csv": Layout("a CSV list", _is_csv, read_csv, takes_folder=False),
    "class_folders": Layout(
        "a folder of class folders",
        looks_like_class_folders,
        read_class_folders,
        takes_file=False,
        lists_files=False,
    ),
    "unlabelled": Layout(
        "unlabelled videos", _holds_videos_only, read_unlabelled, lists_files=False
    ),
    "text": Layout("a text list", Path.is_file, read_text_list, takes_folder=False),
}


def read_listing(
    data: str | os.PathLike,
    *,
    layout: str = "auto",
    video_root: str | os.PathLike | None = None,
    all_videos: bool = False,
) -> Listing:
    """Reads a data set of a given layout, or of the first that matches.

    Args:
        data: A folder or file, or an address, see `load_manifest`.
        layout: A key of `LAYOUTS` or `"auto"`.
        video_root: Folder that the paths in a list start from; None looks for it.
        all_videos: With `"auto"`, take every video below a folder of class folders,
            those outside of class folders included.

    Returns:
        A listing with at least one entry.

    Raises:
        UserError: Nothing there, a layout that does not fit, or no videos.
    """
    if layout != "auto" and layout not in LAYOUTS:
        known = ", ".join(sorted(LAYOUTS))
        raise UsageError(f"Unknown layout {layout!r}: use auto, {known}.")
    if video_root is not None:
        video_root = as_folder(video_root)
        if isinstance(video_root, Path) and not video_root.is_dir():
            raise UserError(f"{video_root}: `video_root` is not a folder.")
    if is_remote(data):
        return _read_remote(os.fspath(data), layout, video_root)
    data = Path(data)
    if not data.exists():
        raise UserError(f"{data}: no such file or folder.")
    if layout == "auto":
        if data.is_file() and data.suffix.lower() in _NO_LISTS:
            raise UserError(
                f"{data}: is no list of videos. Name a folder, a video, or a list of "
                "them that ends with .csv or .txt."
            )
        layout = next(name for name, each in LAYOUTS.items() if each.matches(data))
        if all_videos and layout == "class_folders":
            layout = "unlabelled"
    chosen = LAYOUTS[layout]
    if not (chosen.takes_file if data.is_file() else chosen.takes_folder):
        raise UserError(
            f"{data}: the layout {layout!r} needs a "
            f"{'folder' if data.is_file() else 'file'}."
        )
    if chosen.lists_files and is_long_list(data):
        listing = read_indexed(data, layout, video_root, chosen.read)
    else:
        listing = chosen.read(data, video_root)
    if not listing.entries:
        raise UserError(
            f"{data}: no videos found in it (read as {chosen.description}). Check the "
            "path; file names must end like videos, e.g. .mp4, .avi, .mkv, .webm."
        )
    return listing


def _has_known_ending(path: str) -> bool:
    ending = os.path.splitext(path)[1].lower()
    return is_video_file(path) or ending in _LIST_ENDINGS


def _read_remote(data: str, layout: str, video_root: Path | str | None) -> Listing:
    """Reads what a copy of the list or index says; the videos stay where they are."""
    folder, _, name = data.rstrip("/").rpartition("/")
    # A signature behind the name is no part of it; the name may be in a query, though.
    plain = data.partition("?")[0].rstrip("/")
    if data.startswith("http") and _has_known_ending(plain):
        folder, _, name = plain.rpartition("/")
    if is_video_file(name) and layout in ("auto", "unlabelled"):
        return Listing("unlabelled", folder, [Entry(data[len(folder) + 1 :])])
    ending = os.path.splitext(name)[1].lower()
    if ending not in _LIST_ENDINGS:
        if layout not in ("auto", "packed"):
            raise UserError(
                f"{data}: a remote {layout} cannot be listed. Write a list of "
                "`path,label` lines and give its address, or pack the videos."
            )
        return fetch_packed(data)
    if layout not in ("auto", "csv", "text"):
        raise UserError(f"{data}: a remote list can be csv or text, not {layout!r}.")
    copy = local_copy(data, fresh=True)
    listing = read_listing(
        copy,
        layout=_LIST_ENDINGS[ending] if layout == "auto" else layout,
        video_root=folder if video_root is None else video_root,
    )
    # Errors name the list that the user knows, not its copy.
    return dataclasses.replace(listing, entries=listing.entries.with_file(data))
