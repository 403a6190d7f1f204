"""Keeping the lower stages of a backbone as they are."""

import keras

from keras_dynamonet.models.loss_weighting import LossWeighting

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


def get_trainability(model, apart=()):
    """What of a model trains or not otherwise than that which it is a part of.

    Keras saves one flag of a subclassed model; this is the rest of what
    `layer.trainable = False` may have changed in it.

    Args:
        model: A layer with layers inside. Those that a subclass adds need names of
            their own: the ones that Keras counts up are not found again.
        apart: Layers directly inside whose own configuration says this.

    Returns:
        Whether it trains, by the names of layers and weights on the way to it, joined
        by slashes; a layer comes before its parts.

    Example:

    >>> head = keras.layers.Dense(2, name="head")
    >>> model = keras.Sequential([keras.Input((3,)), head])
    >>> head.trainable = False
    >>> get_trainability(model)
    {'head': False}
    """
    return {
        name: part.trainable
        for name, part, whole in _parts(model, apart)
        if part.trainable != whole.trainable
    }


def restore_trainability(model, trainability, apart=()):
    """Makes the parts of a new model train, or not.

    Args:
        model: A layer with layers inside, itself frozen or not.
        trainability: From :func:`get_trainability`, or `None` if nothing is known but
            the flag of the model. Names that the model does not have are passed over:
            another form of it may lack them.
        apart: Layers directly inside that are as they should be already; a frozen model
            of which nothing else is known freezes them, too.

    Example:

    >>> head = keras.layers.Dense(2, name="head")
    >>> model = keras.Sequential([keras.Input((3,)), head])
    >>> restore_trainability(model, {"head": False})
    >>> head.trainable
    False
    """
    if trainability is None:
        if model.trainable:
            return
        trainability, apart = {}, ()
    for name, part, whole in list(_parts(model, apart)):
        part.trainable = trainability.get(name, whole.trainable)


def _parts(whole, apart=(), prefix=""):
    """Names, layers or weights, and what they are directly in; outer ones first."""
    for weight in whole._trainable_variables:
        yield prefix + weight.name, weight, whole
    for layer in whole._flatten_layers(include_self=False, recursive=False):
        # What a weighting of losses learns, `compile` says.
        if isinstance(layer, LossWeighting) or any(layer is other for other in apart):
            continue
        yield prefix + layer.name, layer, whole
        yield from _parts(layer, prefix=f"{prefix}{layer.name}/")
