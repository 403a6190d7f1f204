"""The videos of a run: what to train on, and what to validate on."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_dynamonet.data.clip_sampling import ClipSpec
from keras_dynamonet.data.manifest import Manifest, list_splits, load_manifest
from keras_dynamonet.data.places import absolute_path
from keras_dynamonet.data.transforms import Augmentation
from keras_dynamonet.errors import UserError
from keras_dynamonet.models.dynamonet import DynamoNet
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.run_directory import RunDirectory

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """The videos of a run.

    Args:
        train: To learn from; the unlabelled ones at the end, no video twice.
        validation: To judge each epoch by, or `None`.
    """

    train: Manifest
    validation: Manifest | None

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes, or `None` where nothing is labelled."""
        return list(self.train.class_names) or None


def load_training_data(config: TrainConfig) -> TrainingData:
    """Finds the videos that a configuration names.

    Validation videos are those of `config.validation`, else the validation split of
    DATA, else a share of the training videos that depends on their names alone.

    Raises:
        UserError: If DATA holds no videos, or no labels to learn actions from, or the
            validation videos have other classes.
    """
    labelled = config.task == "actions"
    source = {"layout": config.layout, "video_root": config.video_root}
    splits = list_splits(config.data, **source)
    split = config.split or ("train" if splits else None)
    train = load_manifest(config.data, split=split, labelled=labelled, **source)
    if config.validation is not None:
        validation = load_evaluation_data(
            config.validation,
            class_names=train.class_names,
            video_root=config.video_root,
            prefer=("validation",),
        )
    elif "validation" in splits:
        validation = load_manifest(
            config.data,
            split="validation",
            labelled=labelled,
            class_names=train.class_names,
            **source,
        )
    else:
        train, validation = hold_out(train, config.validation_share)
        if len(validation):
            logger.info(
                "Held out %d of %d videos for validation; %s will list them",
                len(validation),
                len(train) + len(validation),
                RunDirectory(config.run_dir).videos,
            )
        else:
            logger.warning(
                "No videos to validate on: the best epoch is that of the training loss"
            )
    if config.unlabelled is not None:
        parts = [
            load_manifest(config.data, split=name, labelled=False, **source)
            for name in splits
            if name != split
        ]
        train = train.concat(_load_unlabelled(config, (train, validation, *parts)))
    return TrainingData(train, validation if len(validation) else None)


def _load_unlabelled(config: TrainConfig, apart: Sequence[Manifest]) -> Manifest:
    """The videos without labels, less those that are in the other manifests."""
    source = {"video_root": config.video_root}
    parts = list_splits(config.unlabelled, **source)
    split = next((name for name in (config.split, "train") if name in parts), None)
    if parts and split is None:
        raise UserError(
            f"{config.unlabelled}: has no part to learn from, but {', '.join(parts)}. "
            "Name a folder or list without parts."
        )
    found = load_manifest(config.unlabelled, split=split, labelled=False, **source)
    taken = {absolute_path(m.path(i)) for m in apart for i in range(len(m))}
    paths = (absolute_path(found.path(i)) for i in range(len(found)))
    new = np.array([path not in taken for path in paths], bool)
    if not new.any():
        raise UserError(
            f"{config.unlabelled}: has no videos but those of {config.data}, its "
            "parts and the validation. Name others, or leave out --unlabelled."
        )
    if not new.all():
        logger.info(
            "Left out of the unlabelled videos: %d that belong to DATA or to the "
            "validation",
            np.count_nonzero(~new),
        )
    return found.subset(new)


def load_evaluation_data(
    data: str,
    *,
    class_names: Sequence[str] | None,
    layout: str = "auto",
    split: str | None = None,
    video_root: str | None = None,
    prefer: Sequence[str] = ("test", "validation"),
) -> Manifest:
    """Finds the videos to measure a model on.

    Args:
        data: A folder or file.
        class_names: The model's classes; none for a model of frames alone.
        layout: Layout of `data`.
        split: Part of `data`. Default: the first of `prefer` that there is, else all.
        video_root: Folder that the paths in a list start from.
        prefer: Names of splits.

    Raises:
        UserError: If there are no videos, or their classes are not the model's.
    """
    source = {"layout": layout, "video_root": video_root}
    if split is None:
        splits = list_splits(data, **source)
        split = next((name for name in prefer if name in splits), None)
    return load_manifest(
        data,
        split=split,
        class_names=class_names or None,
        labelled=bool(class_names),
        **source,
    )


def hold_out(manifest: Manifest, share: float) -> tuple[Manifest, Manifest]:
    """Splits videos into those to train on and a share to validate on.

    Of each class the videos whose names have the smallest hashes are held out, so that
    adding videos moves few others, and at least one is left to train on.

    Args:
        manifest: All videos.
        share: Share to hold out, in [0, 1).

    Returns:
        What is left, and what is held out.
    """
    digests = (
        hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()
        for path in manifest.paths
    )
    # The first 8 bytes order as the whole digests do.
    hashes = np.fromiter(
        (int.from_bytes(digest[:8], "big") for digest in digests),
        np.uint64,
        len(manifest),
    )
    by_class = np.lexsort((hashes, manifest.labels))
    _, counts = np.unique(manifest.labels, return_counts=True)
    held_out = np.zeros(len(manifest), bool)
    for members in np.split(by_class, np.cumsum(counts)[:-1]):
        count = min(round(share * len(members)), len(members) - 1)
        held_out[members[:count]] = True
    return (
        manifest.subset(np.flatnonzero(~held_out)),
        manifest.subset(np.flatnonzero(held_out)),
    )


def clip_spec(config: TrainConfig, model: DynamoNet) -> ClipSpec:
    """The clips that a model is trained on."""
    height, width = model.frame_size
    if height != width:
        raise UserError(
            f"Frames must be square to be trained on. Received: size={height}x{width}."
        )
    return ClipSpec(
        num_frames=model.num_frames,
        size=height,
        fps=model.fps,
        # A model that was saved without its stride has 1.
        stride=config.stride or model.stride,
        short_videos=config.short_videos,
    )


def make_augmentation(config: TrainConfig) -> Augmentation:
    """What may vary from clip to clip."""
    if not config.augment:
        return Augmentation.none()
    return Augmentation(
        scales=config.scales,
        corner_crop=config.corner_crop,
        flip=config.flip,
        brightness=config.brightness,
        contrast=config.contrast,
        saturation=config.saturation,
    )
