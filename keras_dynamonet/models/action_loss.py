"""The classification loss of batches in which some clips have no label."""

import keras
from keras import ops

_CROSS_ENTROPIES = {
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "categorical_focal_crossentropy": keras.losses.CategoricalFocalCrossentropy,
}


def get_action_loss(identifier):
    """A loss on logits by name, or as it is.

    Args:
        identifier: `None` for sparse categorical cross-entropy, the name of one of the
            categorical cross-entropies, which is then from logits, or a
            `keras.losses.Loss`.

    Returns:
        A `keras.losses.Loss`.

    Raises:
        ValueError: If the loss is unknown, or is a cross-entropy from probabilities.

    Example:

    >>> get_action_loss("categorical_crossentropy").from_logits
    True
    """
    identifier = identifier or "sparse_categorical_crossentropy"
    if isinstance(identifier, str) and identifier in _CROSS_ENTROPIES:
        return _CROSS_ENTROPIES[identifier](from_logits=True)
    loss = keras.losses.get(identifier)
    if not isinstance(loss, keras.losses.Loss):
        raise ValueError(
            "`loss` must be a keras.losses.Loss or the name of a cross-entropy: "
            f"{', '.join(_CROSS_ENTROPIES)}. Received: loss={identifier!r}"
        )
    if getattr(loss, "from_logits", True) is False:
        raise ValueError(
            "The network returns logits, not probabilities: give the loss "
            f"`from_logits=True`. Received: loss={loss.name!r}"
        )
    return loss


def is_one_hot(labels):
    """Whether labels are `(batch, classes)` shares, not `(batch,)` or `(batch, 1)`.

    Example:

    >>> is_one_hot(ops.ones((2, 5))), is_one_hot(ops.ones((2, 1)))
    (True, False)
    """
    return len(labels.shape) == 2 and labels.shape[-1] != 1


def known_labels(labels):
    """Labels without -1, numbers also where they are truth values.

    Args:
        labels: `(batch,)` integers or truth values, or `(batch, classes)` shares.

    Returns:
        The labels, 0 for -1.

    Example:

    >>> [int(label) for label in known_labels(ops.convert_to_tensor([3, -1]))]
    [3, 0]
    """
    return ops.maximum(_as_numbers(labels), 0)


def _as_numbers(labels):
    truths = keras.backend.standardize_dtype(labels.dtype) == "bool"
    return ops.cast(labels, "int32") if truths else labels


def labelled_weight(labels, sample_weight=None):
    """Weight of every clip in the action loss: 0 where there is no label.

    Args:
        labels: `(batch,)` integers, -1 for none, or `(batch, classes)` shares, all
            zero for none.
        sample_weight: Optional further weight, `(batch,)`.

    Returns:
        `(batch,)`, float32.

    Example:

    >>> [int(w) for w in labelled_weight(ops.convert_to_tensor([3, -1]))]
    [1, 0]
    """
    if is_one_hot(labels):
        labelled = ops.sum(_as_numbers(labels), axis=-1) > 0
    else:
        labelled = ops.reshape(_as_numbers(labels), (-1,)) >= 0
    weight = ops.cast(labelled, "float32")
    if sample_weight is not None:
        weight = weight * ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
    return weight
