"""The optimizer of a run."""

from collections.abc import Mapping

import keras

from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.fine_tuning import LayerwiseAdamW, LayerwiseSGD
from keras_dynamonet.training.schedules import WarmupCosine

NOT_DECAYED = ("bias", "gamma", "beta", "log_variances", "persistence")
"""Variables that are shifts and scales: pulling them to zero regularises nothing."""


def make_optimizer(
    config: TrainConfig,
    steps_per_epoch: int,
    rate_scales: Mapping[str, float] | None = None,
) -> keras.Optimizer:
    """An optimizer with the learning rate, decay and clipping of a configuration.

    Args:
        config: The run's configuration.
        steps_per_epoch: Training steps of one epoch, at least 1.
        rate_scales: Factor of the learning rate by the path of the variable, or `None`
            for one learning rate.

    Returns:
        AdamW, or SGD with Nesterov momentum. Both decay the weights apart from the
        gradient, by `weight_decay * learning_rate` a step, kernels only.

    Example:

    >>> config = TrainConfig(epochs=10, warmup_epochs=1, optimizer="sgd")
    >>> optimizer = make_optimizer(config, steps_per_epoch=100)
    >>> round(float(optimizer.learning_rate), 7)  # the first of 100 warm-up steps
    1e-05
    """
    total_steps = config.epochs * steps_per_epoch
    schedule = WarmupCosine(
        config.peak_learning_rate,
        total_steps,
        warmup_steps=min(total_steps, round(config.warmup_epochs * steps_per_epoch)),
        final_share=config.final_learning_rate,
    )
    shared = {
        "learning_rate": schedule,
        "weight_decay": config.weight_decay,
        "global_clipnorm": config.clip_norm or None,
    }
    sgd, adamw = keras.optimizers.SGD, keras.optimizers.AdamW
    if rate_scales is not None:
        sgd, adamw = LayerwiseSGD, LayerwiseAdamW
        shared["rate_scales"] = rate_scales
    if config.optimizer == "sgd":
        optimizer = sgd(
            momentum=config.momentum, nesterov=config.momentum > 0, **shared
        )
    else:
        optimizer = adamw(**shared)
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer
