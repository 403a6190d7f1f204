"""What a bulk inference computes: everything that decides its rows."""

from collections.abc import Iterator
from dataclasses import dataclass

from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.errors import UserError


@dataclass(frozen=True, kw_only=True)
class BulkJob:
    """The settings of a bulk inference.

    Two jobs with equal settings give equal rows, whatever engine runs them.

    Args:
        model: The `.keras` file, the folder of a run, or the name of a model that
            comes with the package.
        vectors: Whether to write embeddings and motion representations beside actions.
        top: Most probable actions to write of each video, at least 1.
        num_clips: Clips spread over each video.
        num_crops: Squares over its long side.
        fps: Frames a second of the clips. Default: as in training.
        stride: Source frames from one clip frame to the next, instead of `fps`.
        batch_size: Views to compute at a time.
        part_size: Videos in one file of the output, at least 1: what a killed worker
            has to do again.

    Raises:
        UserError: If a number is less than 1.

    Example:

    >>> BulkJob(model="runs/first", part_size=100).num_parts(1001)
    11
    """

    model: str
    vectors: bool = True
    top: int = 5
    num_clips: int = 1
    num_crops: int = 1
    fps: float | None = None
    stride: int | None = None
    batch_size: int = 16
    part_size: int = 256

    def __post_init__(self):
        for name in ("top", "num_clips", "num_crops", "batch_size", "part_size"):
            value = getattr(self, name)
            if value < 1:
                raise UserError(f"`{name}` must be at least 1. Received: {value}.")

    def num_parts(self, num_videos: int) -> int:
        """Files that the output of so many videos has."""
        return -(-num_videos // self.part_size)

    def part_range(self, number: int, num_videos: int) -> range:
        """Which videos make a part."""
        start = number * self.part_size
        return range(start, min(start + self.part_size, num_videos))


@dataclass(frozen=True)
class Part:
    """Some consecutive videos, which make one file of the output.

    Args:
        number: Which part, from 0.
        paths: The videos.
    """

    number: int
    paths: tuple[str, ...]


def parts_of(manifest: Manifest, job: BulkJob, numbers: list[int]) -> Iterator[Part]:
    """The parts with the given numbers, one at a time."""
    for number in numbers:
        videos = job.part_range(number, len(manifest))
        yield Part(number, tuple(manifest.path(i) for i in videos))
