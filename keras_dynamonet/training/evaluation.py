"""Accuracy under a stated protocol, and the quality of predicted frames."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_dynamonet.data.bad_files import BadFileLog
from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.data.pipeline import evaluation_dataset
from keras_dynamonet.errors import UserError
from keras_dynamonet.training.data_errors import original_errors
from keras_dynamonet.training.frame_quality import FrameQuality, FrameQualityMeter
from keras_dynamonet.training.probabilities import softmax
from keras_dynamonet.training.scores import (
    Accuracy,
    average_by_video,
    confusion_matrix,
    top_k_accuracy,
)
from keras_dynamonet.training.trained_model import TrainedModel


@dataclass(frozen=True)
class Protocol:
    """How a video is judged: the mean softmax of its views.

    Args:
        num_clips: Clips spread evenly over each video; 1 is the middle.
        num_crops: Squares spread evenly over the long side; 1 is the centre.

    Raises:
        UserError: If either is less than 1.

    Example:

    >>> str(Protocol(num_clips=10, num_crops=3))
    'mean softmax of 10 clips x 3 crops a video'
    """

    num_clips: int = 1
    num_crops: int = 1

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if value < 1:
                raise UserError(f"`{name}` must be at least 1. Received: {value}.")

    def __str__(self) -> str:
        if self.num_clips == self.num_crops == 1:
            return "the middle clip of a video, centre crop"
        views = f"{self.num_clips} clips x {self.num_crops} crops"
        return f"mean softmax of {views} a video"


@dataclass(frozen=True)
class Classification:
    """How well actions were recognised.

    Args:
        clip_accuracy: Of single views.
        video_accuracy: Of videos, from the mean softmax of their views.
        top5_accuracy: Of videos: the true class is among the five most probable.
        per_class: Video accuracy of each class; `None` for a class without videos.
        confusion: `(classes, classes)` counts of videos, rows are the true classes.
        trained_on: How many of these videos, which have labels, the model was trained
            on; `None` where that is not known.
    """

    clip_accuracy: Accuracy
    video_accuracy: Accuracy
    top5_accuracy: Accuracy
    per_class: list[Accuracy | None]
    confusion: np.ndarray
    trained_on: int | None = None


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation found.

    Args:
        class_names: Names of the classes; empty for a model of frames alone.
        protocol: How videos were judged.
        classification: Recognition, or `None` where nothing has a label.
        frame_quality: Frame prediction, or `None` if not asked for.
        data_fingerprint: Of the videos evaluated.
        video_paths: The videos that could be read.
        labels: Their classes, `(videos,)`, -1 where unknown.
        probabilities: Mean softmax of each, `(videos, classes)`.
        bad_files: Why the others could not be read, by path.
        too_short: Those left out for being shorter than a clip, likewise.
        trained_on: How many of `video_paths` the model was trained on; `None` where
            that is not known.
    """

    class_names: list[str]
    protocol: Protocol
    classification: Classification | None
    frame_quality: FrameQuality | None
    data_fingerprint: str
    video_paths: list[str]
    labels: np.ndarray
    probabilities: np.ndarray
    bad_files: dict[str, str]
    too_short: dict[str, str] = dataclasses.field(default_factory=dict)
    trained_on: int | None = None

    def to_json(self) -> dict[str, Any]:
        """All but the predictions for single videos, ready for JSON."""
        actions = self.classification
        quality = self.frame_quality
        protocol = {**dataclasses.asdict(self.protocol), "text": str(self.protocol)}
        return {
            "protocol": protocol,
            "videos": len(self.video_paths),
            "videos_trained_on": self.trained_on,
            "data_fingerprint": self.data_fingerprint,
            "bad_files": self.bad_files,
            "too_short": self.too_short,
            "class_names": self.class_names,
            "clip_accuracy": actions and actions.clip_accuracy.to_json(),
            "video_accuracy": actions and actions.video_accuracy.to_json(),
            "top5_accuracy": actions and actions.top5_accuracy.to_json(),
            "per_class": actions
            and {
                name: accuracy and accuracy.to_json()
                for name, accuracy in zip(
                    self.class_names, actions.per_class, strict=True
                )
            },
            "confusion": actions and actions.confusion.tolist(),
            "frame_psnr_db": quality and dataclasses.asdict(quality),
        }


def evaluate(
    trained: TrainedModel,
    manifest: Manifest,
    *,
    protocol: Protocol | None = None,
    batch_size: int = 16,
    frame_clips: int = 64,
    max_bad_share: float = 0.1,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Evaluates a model on videos.

    Args:
        trained: The model.
        manifest: The videos; labels index the model's class names.
        protocol: How to judge a video. Default: its middle clip, centre crop.
        batch_size: Views to compute at a time.
        frame_clips: Middle clips to measure frame prediction on, evenly spread over the
            videos; 0 leaves it out. Their number is bounded because the ceiling solves
            a least-squares problem for each transition.
        max_bad_share: Stop when more than this share of the videos cannot be read.
        workers: Threads that read videos. Default: one for each processor.
        progress: Called with views done and views in all.

    Returns:
        The result.

    Raises:
        UserError: If no video can be read, or too many cannot.
    """
    protocol = protocol or Protocol()
    bad_files = BadFileLog()
    views = len(manifest) * protocol.num_clips * protocol.num_crops
    dataset = evaluation_dataset(
        manifest,
        trained.spec,
        batch_size=batch_size,
        num_clips=protocol.num_clips,
        num_crops=protocol.num_crops,
        max_bad_share=max_bad_share,
        workers=workers,
        bad_file_log=bad_files,
    )
    rows = []
    with original_errors(bad_files):
        for clips, _, videos in dataset:
            logits = trained.model.predict_on_batch(clips)["logits"]
            rows.append((softmax(logits), videos.numpy()))
            if progress is not None:
                progress(sum(len(video) for _, video in rows), views)
    if not rows:
        raise UserError(f"{manifest.root}: none of the videos could be read.")
    of_clips, video_index = (np.concatenate(part) for part in zip(*rows, strict=True))
    read, of_videos = average_by_video(of_clips, video_index)
    trained_on = trained.was_trained_on([manifest.path(i) for i in read])
    classification = None
    if trained.model.class_names and (manifest.labels[read] >= 0).any():
        classification = _classify(manifest.labels, of_clips, video_index)
        if trained_on is not None:
            labelled = trained_on[manifest.labels[read] >= 0]
            classification = dataclasses.replace(
                classification, trained_on=int(labelled.sum())
            )
    return EvaluationResult(
        class_names=list(trained.model.class_names or ()),
        protocol=protocol,
        classification=classification,
        frame_quality=_frame_quality(trained, manifest.subset(read), frame_clips),
        data_fingerprint=manifest.fingerprint(),
        video_paths=[manifest.paths[i] for i in read],
        labels=manifest.labels[read],
        probabilities=of_videos,
        bad_files=bad_files.reasons,
        too_short=bad_files.too_short,
        trained_on=None if trained_on is None else int(trained_on.sum()),
    )


def _classify(
    labels: np.ndarray, probabilities: np.ndarray, video_index: np.ndarray
) -> Classification:
    """Counts over labelled videos alone."""
    labelled = labels[video_index] >= 0
    probabilities, video_index = probabilities[labelled], video_index[labelled]
    videos, means = average_by_video(probabilities, video_index)
    confusion = confusion_matrix(labels[videos], means.argmax(1), means.shape[1])
    totals, correct = confusion.sum(1).tolist(), np.diag(confusion).tolist()
    of_clips = top_k_accuracy(probabilities, labels[video_index], 1)
    return Classification(
        clip_accuracy=dataclasses.replace(of_clips, independent=len(videos)),
        video_accuracy=top_k_accuracy(means, labels[videos], 1),
        top5_accuracy=top_k_accuracy(means, labels[videos], 5),
        per_class=[
            Accuracy(right, total) if total else None
            for right, total in zip(correct, totals, strict=True)
        ],
        confusion=confusion,
    )


def _frame_quality(
    trained: TrainedModel, manifest: Manifest, frame_clips: int
) -> FrameQuality | None:
    count = min(frame_clips, len(manifest))
    if not count:
        return None
    spread = np.linspace(0, len(manifest) - 1, count).round().astype(int)
    model = trained.model
    meter = FrameQualityMeter(
        model.kernel_size, per_channel=model.per_channel, segments=model.segments
    )
    bad_files = BadFileLog()
    dataset = evaluation_dataset(
        manifest.subset(spread), trained.spec, batch_size=8, bad_file_log=bad_files
    )
    with original_errors(bad_files):
        for clips, *_ in dataset:
            predicted = model.predict_on_batch(clips)["next_frames"]
            meter.update(clips.numpy(), predicted)
    return meter.result()
