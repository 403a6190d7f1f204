"""The list of videos, labels and class names that everything else works from."""

import functools
import hashlib
import itertools
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_dynamonet.data.entry_table import EntryTable
from keras_dynamonet.data.file_checks import (
    file_sizes,
    refuse_duplicates,
    refuse_missing,
)
from keras_dynamonet.data.labels import UNLABELLED, choose_class_names, number_labels
from keras_dynamonet.data.layouts import LAYOUTS, read_listing
from keras_dynamonet.data.listing import Listing, canonical_split
from keras_dynamonet.data.path_table import PathTable, row_numbers
from keras_dynamonet.data.places import absolute_path, as_folder, is_remote, join_path
from keras_dynamonet.errors import UserError

_logger = logging.getLogger(__name__)

_FINGERPRINT_CHUNK = 4096
# What stands in lines of paths that `Path.as_posix` may change, and in few others.
_NOT_POSIX = (b"\n.", b"\n\t", b"//", b"/./", b"/\t", b".\t")


@dataclass(frozen=True, eq=False)
class Manifest:
    """Videos with their labels.

    A manifest of a million videos takes a few flat arrays, which may be mapped files.

    Attributes:
        root: Folder that relative paths start from: a path, or an address as a text.
        paths: One path a video, relative to `root` or absolute. Any iterable of strings
            becomes a table that behaves as a tuple does.
        labels: int32, shape `(videos,)`: index into `class_names`, -1 for unlabelled.
        class_names: Names in the order of the labels; empty if nothing is labelled.
        layout: How the data was read, e.g. `"class_folders"`.
        sizes: Bytes of each video where an index knows them, int64; None otherwise.

    Raises:
        ValueError: Lengths differ or a label has no class name.

    Example:

    >>> manifest = Manifest(Path("videos"), ("a.mp4", "b.mp4"), [0, -1], ("walk",))
    >>> len(manifest), manifest.num_labelled
    (2, 1)
    """

    root: Path | str
    paths: PathTable
    labels: np.ndarray
    class_names: tuple[str, ...] = ()
    layout: str = "unlabelled"
    sizes: np.ndarray | None = None

    def __post_init__(self):
        labels = np.array(self.labels, np.int32)
        labels.setflags(write=False)
        object.__setattr__(self, "root", as_folder(self.root))
        object.__setattr__(self, "paths", PathTable.from_strings(self.paths))
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
        return join_path(self.root, self.paths[index])

    def subset(self, indices: Sequence[int] | Sequence[bool]) -> "Manifest":
        """Some of the videos, with the same class names.

        Args:
            indices: Which ones, in that order, negative ones from the end; or a mask
                with one value a video.

        Raises:
            ValueError: A mask of another length, a video that is not there, or
                something else than whole numbers.

        Example:

        >>> manifest = Manifest("videos", ("a.mp4", "b.mp4"), [0, -1], ("walk",))
        >>> manifest.subset(manifest.labels >= 0).paths
        PathTable('a.mp4')
        """
        indices = row_numbers(indices, len(self))
        return Manifest(
            self.root,
            self.paths.take(indices),
            self.labels[indices],
            self.class_names,
            self.layout,
            None if self.sizes is None else self.sizes[indices],
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
        both = (self, other)
        roots = [absolute_path(manifest.root) for manifest in both]
        remote = any(map(is_remote, roots))
        root = os.sep if remote else os.path.commonpath(roots)
        paths = itertools.chain.from_iterable(
            _move(manifest.paths, own_root, root)
            for manifest, own_root in zip(both, roots, strict=True)
        )
        sizes = [manifest.sizes for manifest in both]
        return Manifest(
            root,
            paths,
            np.concatenate([self.labels, other.labels]),
            names,
            self.layout if self.layout == other.layout else "mixed",
            None if any(each is None for each in sizes) else np.concatenate(sizes),
        )

    def fingerprint(self) -> str:
        """SHA-256 in hex over paths, file sizes, labels and class names, in order.

        Where `root` lies does not matter; two machines with the same data agree. It is
        computed once: files that change later do not change it.
        """
        return self._fingerprint

    @functools.cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name in self.class_names:
            digest.update(f"class {name}\n".encode("utf-8", "surrogateescape"))
        sizes = self.sizes
        if sizes is None:
            sizes = file_sizes(self.root, self.paths)
        for start in range(0, len(self), _FINGERPRINT_CHUNK):
            part = slice(start, start + _FINGERPRINT_CHUNK)
            digest.update(_lines(self.paths[part], sizes[part], self.labels[part]))
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
    | `packed` | folder that `dynamonet pack` wrote |
    | `unlabelled` | folder of videos at any depth, or one video |

    Args:
        data: A folder or file, or the address (`s3://`, `gs://`, `http(s)://`,
            `hdfs://`) of a CSV or text list, a packed folder or a video.
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
    listing = read_listing(
        data, layout=layout, video_root=video_root, all_videos=not (labelled or split)
    )
    entries = _pick_split(listing, split, data)
    if not listing.verified:
        refuse_duplicates(entries, data)
        if LAYOUTS[listing.layout].lists_files and not allow_missing:
            refuse_missing(entries, listing.root)
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
                "serve for pre-training and prediction (in Python: `labelled=False`)."
            )
    manifest = Manifest(
        listing.root, entries.paths, labels, names, listing.layout, entries.sizes
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
    return read_listing(data, layout=layout, video_root=video_root).splits


def _pick_split(
    listing: Listing, split: str | None, data: str | os.PathLike
) -> EntryTable:
    entries = listing.entries
    if split is None:
        if not listing.overlapping_splits:
            return entries
        rows = {path: row for row, path in enumerate(entries.paths)}
        return entries.take(list(rows.values()))
    split = canonical_split(split)
    if split not in listing.splits:
        known = ", ".join(listing.splits)
        raise UserError(
            f"{data}: has no split {split!r}. "
            + (f"Its splits are {known}." if known else "It has no splits at all.")
        )
    return entries.take(
        np.flatnonzero(entries.splits == entries.split_names.index(split))
    )


def _move(paths: PathTable, old_root: str, new_root: str) -> Iterator[str]:
    """The same files, with paths that start from another root on this machine."""
    remote = is_remote(old_root)
    way = "" if remote else os.path.relpath(old_root, new_root)
    for path in paths:
        if remote or is_remote(path):
            yield join_path(old_root, path)
        elif os.path.isabs(path):
            yield os.path.relpath(path, new_root)
        else:
            yield os.path.normpath(os.path.join(way, path))


def _lines(paths: PathTable, sizes: np.ndarray, labels: np.ndarray) -> bytes:
    """`PATH<tab>SIZE<tab>LABEL` of each video, its path as `Path.as_posix` writes it.

    `Path` takes long; whether it would change a path shows in all of them at once.
    """

    def join(names: Iterable[str]) -> bytes:
        rows = zip(names, sizes.tolist(), labels.tolist(), strict=True)
        lines = [f"{path}\t{size}\t{label}\n" for path, size, label in rows]
        return "".join(lines).encode("utf-8", "surrogateescape")

    lines = join(paths)
    preceded = b"\n" + lines
    if os.sep != "/" or any(mark in preceded for mark in _NOT_POSIX):
        lines = join(Path(path).as_posix() for path in paths)
    return lines


def _say_aloud(
    manifest: Manifest,
    listing: Listing,
    data: str | os.PathLike,
    split: str | None,
) -> None:
    parts = [f"{len(manifest):,} videos"]
    if manifest.num_labelled:
        parts.insert(0, f"{len(manifest.class_names)} classes")
        present = set(np.unique(manifest.labels).tolist())
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
