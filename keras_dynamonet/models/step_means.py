"""Means over the clips of a step, wherever the clips are computed."""

from keras import ops

from keras_dynamonet.layers import backend_ops

_SMALLEST_TOTAL = 1e-6


def clip_weight(clips, sample_weight=None):
    """Weight of every clip in the losses: 1 unless it is given.

    Args:
        clips: `(batch, ...)`.
        sample_weight: Optional weight, `(batch,)`.

    Returns:
        `(batch,)`, float32.

    Example:

    >>> clip_weight(ops.zeros((2, 17, 8, 8, 3))).shape
    TensorShape([2])
    """
    if sample_weight is None:
        return ops.ones((ops.shape(clips)[0],), "float32")
    return ops.cast(ops.reshape(sample_weight, (-1,)), "float32")


def weighted_mean(values, weight):
    """Weighted mean over the clips of a step; 0 if no clip has a weight.

    Under a `tf.distribute` strategy the clips are those of all replicas.

    Args:
        values: `(batch, ...)`; a clip's value is the mean over the further axes.
        weight: `(batch,)`.

    Returns:
        A number, the same in every replica.

    Example:

    >>> values, weight = ops.convert_to_tensor([1.0, 3.0, 8.0]), ops.ones((3,))
    >>> float(weighted_mean(values, weight))
    4.0
    """
    values = ops.reshape(ops.cast(values, "float32"), (ops.shape(values)[0], -1))
    total = backend_ops.sum_over_replicas(ops.sum(weight * ops.mean(values, axis=1)))
    clips = backend_ops.sum_over_replicas(ops.sum(weight))
    return total / ops.maximum(clips, _SMALLEST_TOTAL)
