"""Recipes for the usual data sets, by name: `dynamonet train DATA --experiment NAME`.

Each is a configuration without data; a file and flags have the last word over it. Only
what a reference documents is set. Where it drops the learning rate at plateaus, the
cosine schedule of this library takes its place.
"""

import dataclasses
from typing import Any

from keras_dynamonet.training.config import TrainConfig

EXPERIMENTS = {
    # Hara et al., CVPR 2018, and the published code: 16 consecutive frames, batches of
    # 128, SGD. Its weight decay of 1e-3 goes through the momentum of 0.9, which makes
    # it ten times as strong as one that stands apart from the gradient, as here.
    # `dynamonet train kinetics.csv --video-root kinetics --experiment ...`
    "kinetics-from-scratch": TrainConfig(
        preset="resnext101-16f",
        stride=1,
        epochs=200,
        batch_size=128,
        optimizer="sgd",
        learning_rate=0.1,
        weight_decay=1e-2,
        warmup_epochs=0.0,
    ),
    # The same authors' options for HMDB51 and UCF101: only the last stage and the heads
    # are trained, while all normalisations follow the new videos.
    # `dynamonet train hmdb51 --init imported.keras --experiment ...`
    "fine-tune-last-stage": TrainConfig(
        stride=1,
        epochs=100,
        batch_size=128,
        optimizer="sgd",
        learning_rate=1e-3,
        weight_decay=1e-4,  # theirs is 1e-5, through the momentum
        warmup_epochs=0.0,
        freeze="stage3",
        frozen_norm="adapting",
    ),
}


def experiment_settings(name: str) -> dict[str, Any]:
    """The settings of an experiment that differ from the defaults.

    Example:

    >>> experiment_settings("fine-tune-last-stage")["freeze"]
    'stage3'
    """
    defaults, experiment = TrainConfig(), EXPERIMENTS[name]
    return {
        field.name: getattr(experiment, field.name)
        for field in dataclasses.fields(TrainConfig)
        if getattr(experiment, field.name) != getattr(defaults, field.name)
    }
