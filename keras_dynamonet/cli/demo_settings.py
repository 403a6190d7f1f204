"""The sizes of the demo, and the folder that it fills."""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_dynamonet.data.mocap.classes import motion_of
from keras_dynamonet.errors import UserError
from keras_dynamonet.files import atomic_path, remove_leftovers

REAL_CLIP = "bikes.mp4"
"""Street scenes with a cyclist, one of the videos that backdrops are cut from."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """Everything that decides the outcome of the demo.

    Args:
        seed: Seed of videos, weights and data order.
        epochs: Passes over the training videos.
        train_clips: Training videos a class.
        validation_clips: Validation videos a class.
        test_clips: Held-out videos a class, for the figures of the report.
        frame_clips: Held-out clips to measure frame prediction on; the ceiling solves a
            least-squares problem for each of their transitions.
        size: Height and width in pixels.
        preset: Architecture; also gives T, the frames the model sees.
        num_frames: T.
        video_frames: Frames a video, T + 1 and an even number more: then the middle
            clip of a reversed video is the reversed middle clip.
        fps: Frames a second.
        camera: How the camera moves.
        batch_size: Clips a training step.
        learning_rate: Highest learning rate.
        dropout: Share of the classifier's inputs dropped in training.
        scales: Sides of the random crop. Whole frames: a crop would cut off the person,
            and the resizing after it changes the motion filters.
        quick: Whether the figures mean nothing, because the run was cut short.

    Raises:
        UserError: If a number is out of range.
    """

    seed: int = 0
    epochs: int = 12
    train_clips: int = 240
    validation_clips: int = 15
    test_clips: int = 50
    frame_clips: int = 200
    size: int = 64
    preset: str = "nano-16f"
    num_frames: int = 16
    video_frames: int = 21
    fps: float = 12.0
    camera: str = "still"
    batch_size: int = 16
    learning_rate: float = 2e-3
    dropout: float = 0.3
    scales: tuple[float, ...] = (1.0,)
    quick: bool = False

    def __post_init__(self):
        for name in ("epochs", "train_clips", "validation_clips", "test_clips"):
            if getattr(self, name) < 1:
                flag = "clips-per-class" if name == "train_clips" else name
                raise UserError(
                    f"`--{flag}` must be at least 1. Received: {getattr(self, name)}."
                )
        if self.seed < 0:
            raise UserError(f"`--seed` must not be negative. Received: {self.seed}.")
        spare = self.video_frames - self.num_frames - 1
        if spare < 0 or spare % 2:
            raise ValueError(
                "`video_frames` must be `num_frames + 1` and an even number more. "
                f"Received: video_frames={self.video_frames}, "
                f"num_frames={self.num_frames}."
            )

    @property
    def clips_per_class(self) -> dict[str, int]:
        """Number of videos of a class by split."""
        return {
            "train": self.train_clips,
            "validation": self.validation_clips,
            "test": self.test_clips,
        }

    def to_dict(self) -> dict[str, Any]:
        """All settings, ready for JSON."""
        return {**dataclasses.asdict(self), "scales": list(self.scales)}


QUICK = DemoSettings(
    epochs=2,
    train_clips=4,
    validation_clips=2,
    test_clips=2,
    size=32,
    batch_size=8,
    quick=True,
)
"""A run of seconds that passes through every stage and learns nothing."""


def opposite_pairs(class_names: tuple[str, ...]) -> list[tuple[int, int]]:
    """Indices of the classes that are one another's reversal.

    Example:

    >>> opposite_pairs(("run", "walk", "run_reversed"))
    [(0, 2)]
    """
    place = {motion_of(name): index for index, name in enumerate(class_names)}
    return [
        (index, place[motion, True])
        for (motion, is_reversed), index in place.items()
        if not is_reversed and (motion, True) in place
    ]


class DemoFolder:
    """Where the demo keeps what.

    Attributes:
        path: The folder.
        settings: `demo.json`: settings, and the time of the stages done so far.
        videos: `videos/`, the rendered benchmark.
        training: `training/`, the run of the training.
        model: `best.keras`.
        real_clip: The real video that the report predicts on.
        report: `report.html`.
        summary: `summary.json`, written last.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.settings = self.path / "demo.json"
        self.videos = self.path / "videos"
        self.training = self.path / "training"
        self.model = self.path / "best.keras"
        self.real_clip = self.path / REAL_CLIP
        self.report = self.path / "report.html"
        self.summary = self.path / "summary.json"

    def open(self, settings: DemoSettings, *, overwrite: bool) -> None:
        """Makes the folder, or takes over what an earlier run has done in it.

        Args:
            settings: Those of this run.
            overwrite: Whether to delete an earlier demo, and nothing else that lies
                beside it. A folder that is not the demo's is never touched.

        Raises:
            UserError: If the folder is not the demo's, or holds one with other
                settings.
        """
        if self.path.is_dir() and any(self.path.iterdir()):
            if not self.settings.exists() or (overwrite and not self._is_of_demo()):
                raise UserError(
                    f"{self.path}: holds files that are not the demo's. Choose an "
                    "empty or a new folder with --out."
                )
            if overwrite:
                self._remove_written()
            else:
                self._check_same(settings)
                return
        elif self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path}: is a file; the demo needs a folder.")
        self.write_progress(settings, {}, None)

    def read_json(self, path: Path) -> dict[str, Any]:
        """Reads one of the folder's JSON files.

        Raises:
            UserError: If it cannot be read.
        """
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path}: cannot be read ({error}). Start again with --overwrite."
            ) from error

    def write_json(self, path: Path, document: Mapping[str, Any]) -> None:
        """Writes one of the folder's JSON files, whole or not at all."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(document, indent=2) + "\n", "utf-8")

    def write_progress(
        self,
        settings: DemoSettings,
        stage_seconds: Mapping[str, float],
        peak_rss_gib: float | None,
    ) -> None:
        """Notes which stages are done, so that the demo can go on later."""
        document = {
            "settings": settings.to_dict(),
            "stage_seconds": dict(stage_seconds),
            "peak_rss_gib": peak_rss_gib,
        }
        self.write_json(self.settings, document)

    def _is_of_demo(self) -> bool:
        """Whether the settings are a demo's: others have files so called."""
        try:
            document = json.loads(self.settings.read_text(encoding="utf-8"))
        except ValueError:  # damaged
            return (self.training / "config.json").exists()
        return isinstance(document, dict) and "stage_seconds" in document

    def _remove_written(self) -> None:
        """Removes all that a demo writes; its settings last, by which it is known."""
        for folder in (self.videos, self.training):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.model, self.report, self.real_clip, self.summary):
            file.unlink(missing_ok=True)
        remove_leftovers(self.path)
        self.settings.unlink()

    def _check_same(self, settings: DemoSettings) -> None:
        earlier = self.read_json(self.settings).get("settings", {})
        wanted = settings.to_dict()
        differing = [name for name in wanted if earlier.get(name) != wanted[name]]
        if differing:
            raise UserError(
                f"{self.path}: holds a demo with other settings "
                f"({', '.join(differing)}). Replace it with --overwrite, or choose "
                "another folder with --out."
            )
