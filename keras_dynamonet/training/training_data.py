"""The videos of a run: what to train on, and what to validate on."""

import hashlib
import logging
from dataclasses import dataclass

import numpy as np

from keras_dynamonet.data.clip_sampling import ClipSpec
from keras_dynamonet.data.manifest import Manifest, load_manifest
from keras_dynamonet.data.transforms import Augmentation
from keras_dynamonet.errors import UserError
from keras_dynamonet.models.dynamonet import DynamoNet
from keras_dynamonet.training.config import TrainConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """The videos of a run.

    Args:
        train: To learn from; the unlabelled ones at the end.
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
        UserError: If DATA is empty, has no labels to learn actions from, or the
            validation videos have other classes.
    """
    labelled = config.task == "actions"
    train = load_manifest(
        config.data, layout=config.layout, split="train", labelled=labelled
    )
    if config.validation is not None:
        validation = load_manifest(
            config.validation, class_names=train.class_names, labelled=labelled
        )
    else:
        validation = _validation_split(config, train)
        if validation is None:
            train, validation = hold_out(train, config.validation_share)
    if config.unlabelled is not None:
        extra = load_manifest(config.unlabelled, labelled=False)
        train = train.concat(extra)
    if labelled and not train.num_labelled:
        raise UserError(
            f"{config.data}: has no labels, so no actions can be learnt. "
            "Learn from the frames alone: dynamonet pretrain."
        )
    if validation is not None and not len(validation):
        validation = None
    return TrainingData(train, validation)


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
    held_out = []
    for label in np.unique(manifest.labels):
        members = np.flatnonzero(manifest.labels == label)
        hashes = [
            hashlib.sha256(
                manifest.paths[i].encode("utf-8", "surrogateescape")
            ).digest()
            for i in members
        ]
        count = min(round(share * len(members)), len(members) - 1)
        order = sorted(range(len(members)), key=lambda i: hashes[i])
        held_out.extend(int(members[i]) for i in order[:count])
    left = np.setdiff1d(np.arange(len(manifest)), held_out)
    return manifest.subset(left), manifest.subset(sorted(held_out))


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
        stride=config.stride or 1,
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


def _validation_split(config: TrainConfig, train: Manifest) -> Manifest | None:
    raise NotImplementedError
