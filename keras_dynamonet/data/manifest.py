"""The list of videos, labels and class names that everything else works from."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_dynamonet.errors import UserError

UNLABELLED = -1


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
        """Path of one video that can be opened from anywhere below `root`."""
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
