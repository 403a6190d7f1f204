"""What every layout of a data set is read into before labels become numbers."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from keras_dynamonet.data.entry_table import EntryTable
from keras_dynamonet.errors import UserError

VIDEO_SUFFIXES = frozenset(
    ".3g2 .3gp .asf .avi .divx .f4v .flv .gif .m1v .m2ts .m2v .m4v .mjpeg .mjpg .mkv "
    ".mov .mp4 .mpeg .mpg .mts .mxf .nut .ogg .ogm .ogv .qt .rm .rmvb .swf .ts .vob "
    ".webm .wmv .y4m".split()
)
# The three names of a split that the programs use, and what others call them.
SPLIT_ALIASES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validate": "validation",
    "validation": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Listing:
    """The videos of a data set as its files name them.

    Attributes:
        layout: Name of the layout.
        root: Folder that relative paths start from: a path, or an address as a text.
        entries: The videos; any iterable of entries becomes a table.
        class_names: Classes in the order of the labels, where a file fixes them.
        numeric_labels: Whether a label such as `"3"` is a number rather than a name.
        overlapping_splits: Whether a video may be in several splits, as in the three
            train and test lists of UCF101.
        notes: Remarks for the log, e.g. on files left out.
        verified: Whether the paths are known to differ and to exist.
    """

    layout: str
    root: Path | str
    entries: EntryTable
    class_names: tuple[str, ...] | None = None
    numeric_labels: bool = False
    overlapping_splits: bool = False
    notes: list[str] = field(default_factory=list)
    verified: bool = False

    def __post_init__(self):
        object.__setattr__(self, "entries", EntryTable.from_entries(self.entries))

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, the usual three first."""
        names = set(self.entries.split_names)
        usual = ("train", "validation", "test")
        return (*(n for n in usual if n in names), *sorted(names - set(usual)))


def canonical_split(name: str) -> str:
    """The usual name of a split: `"val"` and `"valid"` are `"validation"`."""
    return SPLIT_ALIASES.get(name.strip().lower(), name.strip())


def is_video_file(path: str | os.PathLike) -> bool:
    """Whether a file name looks like a video; hidden files do not."""
    name = os.path.basename(path)
    return not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES


def walk_videos(folder: Path) -> Iterator[str]:
    """Paths of all videos below a folder, relative to it, sorted; follows links."""
    found = []
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            os.path.relpath(os.path.join(parent, name), folder)
            for name in files
            if is_video_file(name)
        ]
    return iter(sorted(found))


def sub_folders(folder: Path) -> list[Path]:
    """Visible folders in a folder, sorted by name."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields numbered, stripped, non-empty lines of a UTF-8 text file.

    Raises:
        UserError: The file is not text.
    """
    for number, line in read_table_lines(path):
        yield number, line.strip()


def read_table_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields them with the tabs around them, which part the cells of a table.

    Raises:
        UserError: The file is not text.
    """
    try:
        # Names of files need not be UTF-8: they are read as the system reads them.
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            for number, line in enumerate(file, start=1):
                if "\0" in line:
                    raise ValueError("a text has no zero bytes")
                if not line.isspace():
                    yield number, line.strip(" \r\n")
    except ValueError:
        raise UserError(
            f"{path}: is not a UTF-8 text file. If it is a video, its ending should "
            "say so; if it is a list, save it as UTF-8."
        ) from None


def find_video_root(candidates: list[Path], example: str, source: Path) -> Path:
    """The first of several folders in which an example of a list exists.

    Raises:
        UserError: None holds it; names the option that helps.
    """
    for candidate in candidates:
        if (candidate / example).exists():
            return candidate
    places = ", ".join(str(candidate) for candidate in candidates)
    raise UserError(
        f"{source}: {example} is in none of {places}. Give the folder that the paths "
        "start from as `video_root`."
    )
