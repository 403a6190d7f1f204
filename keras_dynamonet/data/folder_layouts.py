"""Layouts that are nothing but folders: class folders, with or without splits."""

import os
from collections.abc import Iterator
from pathlib import Path

from keras_dynamonet.data.entry_table import Entry
from keras_dynamonet.data.listing import (
    SPLIT_ALIASES,
    Listing,
    canonical_split,
    is_video_file,
    sub_folders,
    walk_videos,
)


def looks_like_class_folders(data: Path) -> bool:
    """Whether a folder has sub-folders, and at least one of them holds a video."""
    return data.is_dir() and any(
        next(walk_videos(folder), None) for folder in sub_folders(data)
    )


def read_class_folders(data: Path, video_root: Path | None = None) -> Listing:
    """Reads `DATA/CLASS/**/video` or `DATA/{train,validation,test}/CLASS/**/video`.

    Args:
        data: The folder.
        video_root: Not used: the videos are where the folders are.
    """
    folders, notes = sub_folders(data), []
    if _are_splits(folders):
        parts = [(canonical_split(path.name), sub_folders(path)) for path in folders]
    else:
        parts = [(None, folders)]
        loose = sum(is_video_file(path) for path in data.iterdir())
        if loose:
            notes.append(f"{loose} videos outside of class folders left out")
    entries = _class_entries(data, parts, notes)
    return Listing("class_folders", data, entries, notes=notes)


def read_unlabelled(data: Path, video_root: Path | None = None) -> Listing:
    """Reads every video below a folder, or a single file, without labels.

    Args:
        data: The folder or file.
        video_root: Not used: the videos are where the folder is.
    """
    if data.is_file():
        return Listing("unlabelled", data.parent, [Entry(data.name)])
    return Listing("unlabelled", data, map(Entry, walk_videos(data)))


def _are_splits(folders: list[Path]) -> bool:
    """`train/`, `test/` ... are splits if they hold class folders, else classes."""
    holders = [folder for folder in folders if next(walk_videos(folder), None)]
    return bool(holders) and all(
        folder.name.lower() in SPLIT_ALIASES and looks_like_class_folders(folder)
        for folder in holders
    )


def _class_entries(
    root: Path, parts: list[tuple[str | None, list[Path]]], notes: list[str]
) -> Iterator[Entry]:
    """Yields the videos of class folders, and notes the folders without any."""
    for split, folders in parts:
        for folder in folders:
            inside = folder.relative_to(root)
            empty = True
            for path in walk_videos(folder):
                empty = False
                yield Entry(os.path.join(inside, path), folder.name, split)
            if empty:
                notes.append(f"{inside}/ holds no videos and is no class")
