"""The list of videos, labels and class names that everything else works from."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_dynamonet.data.labels import UNLABELLED, choose_class_names, number_labels
from keras_dynamonet.data.layouts import LAYOUTS, read_listing
from keras_dynamonet.data.listing import Entry, Listing, canonical_split
from keras_dynamonet.errors import UserError

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Manifest:
    """Videos with their labels.

    Attributes:
        root: Folder that relative paths start from.
        paths: One path a video, relative to `root` or absolute.
        labels: int32, shape `(videos,)`: index into `class_names`, -1 for unlabelled.
        class_names: Names in the order of the labels; empty if nothing is labelled.
        layout: How the data was read, e.g. `"class_folders"`.

    Raises:
        ValueError: Lengths differ or a label has no class name.

    Example:

    >>> manifest = Manifest(Path("videos"), ("a.mp4", "b.mp4"), [0, -1], ("walk",))
    >>> len(manifest), manifest.num_labelled
    (2, 1)
    """

    root: Path
    paths: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...] = ()
    layout: str = "unlabelled"

    def __post_init__(self):
        labels = np.array(self.labels, np.int32)
        labels.setflags(write=False)
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "paths", tuple(self.paths))
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "class_names", tuple(self.class_names))
        if labels.shape != (len(self.paths),):
            raise ValueError(
                "`labels` must hold one label a path. "
                f"Received: {len(self.paths)} paths, labels of shape {labels.shape}."
            )
        if labels.size and not (
            UNLABELLED <= labels.min() and labels.max() < len(self.class_names)
        ):
            raise ValueError(
                "`labels` must lie in [-1, number of classes). Received: labels from "
                f"{labels.min()} to {labels.max()} for {len(self.class_names)} classes."
            )

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def num_labelled(self) -> int:
        """Number of videos that have a label."""
        return int(np.count_nonzero(self.labels != UNLABELLED))

    def path(self, index: int) -> str:
        """Path of one video as it can be opened: `root` and the relative path."""
        return os.path.join(self.root, self.paths[index])

    def subset(self, indices: Sequence[int]) -> "Manifest":
        """The videos at `indices`, in that order, with the same class names."""
        indices = np.asarray(indices, np.int64)
        return Manifest(
            self.root,
            tuple(self.paths[i] for i in indices),
            self.labels[indices],
            self.class_names,
            self.layout,
        )

    def concat(self, other: "Manifest") -> "Manifest":
        """This manifest followed by another, e.g. labelled and unlabelled videos.

        Raises:
            UserError: Both have labels, and their class names differ.
        """
        names = self.class_names or other.class_names
        if other.class_names and other.class_names != names:
            raise UserError(
                f"{self.root} and {other.root} have different classes "
                f"({len(names)} and {len(other.class_names)}, or in another order). "
                "Load the second with `class_names` of the first."
            )
        roots = [os.path.abspath(manifest.root) for manifest in (self, other)]
        paths = [
            os.path.abspath(manifest.path(i))
            for manifest in (self, other)
            for i in range(len(manifest))
        ]
        root = os.path.commonpath(roots)
        return Manifest(
            Path(root),
            tuple(os.path.relpath(path, root) for path in paths),
            np.concatenate([self.labels, other.labels]),
            names,
            self.layout if self.layout == other.layout else "mixed",
        )

    def fingerprint(self) -> str:
        """SHA-256 in hex over paths, file sizes, labels and class names, in order.

        Where `root` lies does not matter; two machines with the same data agree.
        """
        digest = hashlib.sha256()
        for name in self.class_names:
            digest.update(f"class {name}\n".encode("utf-8", "surrogateescape"))
        for index, path in enumerate(self.paths):
            try:
                size = os.path.getsize(self.path(index))
            except OSError:
                size = -1
            line = f"{Path(path).as_posix()}\t{size}\t{self.labels[index]}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def load_manifest(
    data: str | os.PathLike,
    *,
    layout: str = "auto",
    split: str | None = None,
    class_names: Sequence[str] | None = None,
    labelled: bool = True,
    video_root: str | os.PathLike | None = None,
    allow_missing: bool = False,
) -> Manifest:
    """Reads a data set of any known layout, and says in the log what it took it for.

    | layout | `data` |
    | --- | --- |
    | `class_folders` | folder `CLASS/video`, or `{train,validation,test}/CLASS/video` |
    | `csv` | file of `path,label[,split]`, with or without a header |
    | `text` | file of `path label` or `path` a line |
    | `ucf101` | `trainlistNN.txt`, `testlistNN.txt`, or a folder with them |
    | `hmdb51` | folder with `CLASS_test_splitN.txt` |
    | `kinetics` | CSV file of `label,youtube_id,time_start,time_end,split` |
    | `unlabelled` | folder of videos at any depth, or one video |

    Args:
        data: A folder or file.
        layout: One of the names above, or `"auto"` to recognise it.
        split: Which part to take: `"train"`, `"validation"` or `"test"`; further
            UCF101 and HMDB51 lists are `"train2"`, `"test2"`, ... None takes all.
        class_names: Classes in the order of the labels, e.g. those of a trained model.
            None takes those of the data, over all splits, sorted.
        labelled: False ignores labels; True asks for at least one.
        video_root: Folder that the paths in a list start from; None looks for it.
        allow_missing: Keep listed files that do not exist instead of raising.

    Raises:
        UserError: Nothing there, no videos, no such split, a listed file is missing or
            listed twice, a class is unknown, a label is out of range, or no labels.

    Example:

    ```python
    manifest = load_manifest("videos/", split="train")
    print(len(manifest), manifest.class_names)
    ```
    """
    data = Path(data)
    video_root = None if video_root is None else Path(video_root)
    listing = read_listing(
        data, layout=layout, video_root=video_root, all_videos=not (labelled or split)
    )
    entries = _pick_split(listing, split, data)
    _refuse_duplicates(entries, data)
    if LAYOUTS[listing.layout].lists_files and not allow_missing:
        _refuse_missing(entries, listing.root)
    labels = np.full(len(entries), UNLABELLED, np.int32)
    names = tuple(class_names or ())
    if labelled:
        # Over all splits, so that each of them numbers its labels alike.
        names = choose_class_names(listing, class_names)
        labels = number_labels(entries, names, listing.numeric_labels)
        if not np.any(labels != UNLABELLED):
            raise UserError(
                f"{data}: its videos have no labels. Sort them into one folder a class "
                "or list them in a CSV file of `path,label`; without labels they "
                "serve for pre-training and prediction (`labelled=False`)."
            )
    manifest = Manifest(
        listing.root, tuple(e.path for e in entries), labels, names, listing.layout
    )
    _say_aloud(manifest, listing, data, split)
    return manifest


def list_splits(
    data: str | os.PathLike,
    *,
    layout: str = "auto",
    video_root: str | os.PathLike | None = None,
) -> tuple[str, ...]:
    """Names that `load_manifest(data, split=...)` takes; empty without splits.

    Args:
        data: A folder or file.
        layout: As for `load_manifest`.
        video_root: As for `load_manifest`.

    Raises:
        UserError: The data cannot be read.

    Example:

    ```python
    list_splits("videos/")  # ("train", "validation", "test")
    ```
    """
    video_root = None if video_root is None else Path(video_root)
    return read_listing(Path(data), layout=layout, video_root=video_root).splits


def _pick_split(listing: Listing, split: str | None, data: Path) -> list[Entry]:
    if split is None:
        if not listing.overlapping_splits:
            return listing.entries
        return list({entry.path: entry for entry in listing.entries}.values())
    split = canonical_split(split)
    if split not in listing.splits:
        known = ", ".join(listing.splits)
        raise UserError(
            f"{data}: has no split {split!r}. "
            + (f"Its splits are {known}." if known else "It has no splits at all.")
        )
    return [entry for entry in listing.entries if entry.split == split]


def _refuse_duplicates(entries: list[Entry], data: Path) -> None:
    counts = Counter(os.path.normpath(entry.path) for entry in entries)
    path, count = counts.most_common(1)[0]
    if count > 1:
        lines = [e.source for e in entries if os.path.normpath(e.path) == path]
        raise UserError(
            f"{data}: {path} is listed {count} times ({'; '.join(lines[:3])}). List "
            "each video once."
        )


def _refuse_missing(entries: list[Entry], root: Path) -> None:
    missing = [entry for entry in entries if not (root / entry.path).exists()]
    if missing:
        raise UserError(
            f"{missing[0].source}: {missing[0].path} does not exist below {root} "
            f"({len(missing)} of {len(entries)} listed videos are missing). Mend the "
            "list or give the right `video_root`."
        )


def _say_aloud(
    manifest: Manifest, listing: Listing, data: Path, split: str | None
) -> None:
    parts = [f"{len(manifest):,} videos"]
    if manifest.num_labelled:
        parts.insert(0, f"{len(manifest.class_names)} classes")
        present = set(manifest.labels.tolist())
        absent = [n for k, n in enumerate(manifest.class_names) if k not in present]
        if absent:
            listing.notes.append(f"no videos of the classes {', '.join(absent[:5])}")
        if manifest.num_labelled < len(manifest):
            parts.append(
                f"{len(manifest) - manifest.num_labelled:,} of them unlabelled"
            )
    elif listing.layout != "unlabelled":
        parts.append("labels ignored")
    what = LAYOUTS[listing.layout].description
    _logger.info(
        "%s read as %s%s: %s",
        data,
        what,
        f", split {canonical_split(split)}" if split else "",
        ", ".join(parts),
    )
    for note in listing.notes:
        _logger.warning("%s: %s", data, note)
