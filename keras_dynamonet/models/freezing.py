"""Keeping the lower stages of a backbone as they are."""

import keras

STAGES = ("stem", "stage1", "stage2", "stage3", "stage4")
NORM_MODES = ("with_stage", "frozen", "adapting")


def freeze_layers(layers, until=None, batch_norm="with_stage"):
    """Freezes the layers of a backbone from the stem up to a stage, and no others.

    Args:
        layers: The layers, named after their stages.
        until: The last frozen stage, of `STAGES`, or `None` to freeze none.
        batch_norm: What normalisations do, of `NORM_MODES`, see
            :func:`~keras_dynamonet.training.fine_tuning.freeze`.

    Raises:
        ValueError: If `until` or `batch_norm` is unknown.
    """
    if until is not None and until not in STAGES:
        raise ValueError(f"`until` must be one of {STAGES}. Received: until={until!r}")
    if batch_norm not in NORM_MODES:
        raise ValueError(
            f"`batch_norm` must be one of {NORM_MODES}. Received: {batch_norm!r}"
        )
    frozen = () if until is None else STAGES[: STAGES.index(until) + 1]
    for layer in layers:
        is_frozen = layer.name.startswith(frozen)
        layer.trainable = not is_frozen
        for part in layer._flatten_layers():
            if not isinstance(part, keras.layers.BatchNormalization):
                continue
            if batch_norm == "frozen":
                part.trainable = False
            elif batch_norm == "adapting" and is_frozen:
                part.trainable = True  # for the statistics, not for
                part.gamma.trainable = part.beta.trainable = False
