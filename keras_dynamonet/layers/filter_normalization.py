"""From the motion part of filters to the filters themselves."""

import math

import keras
from keras import ops

MODES = ("none", "sum_to_one", "softmax")

# Weight of the centre of a softmax filter whose motion part is zero.
_CENTRE_WEIGHT = 0.98


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class FilterNormalization(keras.layers.Layer):
    """Adds the identity kernel and, on request, keeps the brightness.

    - `none`: `F = identity + G`.
    - `sum_to_one`: `F = identity + G - mean(G)`: the taps add up to 1, so that no
      picture gets brighter or darker.
    - `softmax`: `F = softmax(c * identity + G)`: taps in (0, 1) that add up to 1; with
      `G = 0` the centre holds 0.98.

    Args:
        mode: One of `"none"`, `"sum_to_one"`, `"softmax"`.

    Input shape:
        `(batch, frames, k, k, channels)`, the motion part G.

    Output shape:
        The input shape.

    Raises:
        ValueError: If `mode` is unknown.

    Reference:
        De Brabandere et al., *Dynamic Filter Networks*, NIPS 2016 (softmax).

    Example:

    >>> filters = FilterNormalization()(keras.ops.zeros((1, 1, 3, 3, 1)))
    >>> [int(v) for v in keras.ops.reshape(filters, (9,))]
    [0, 0, 0, 0, 1, 0, 0, 0, 0]
    """

    def __init__(self, mode="none", **kwargs):
        super().__init__(**kwargs)
        if mode not in MODES:
            raise ValueError(f"`mode` must be one of {MODES}. Received: mode={mode!r}")
        self.mode = mode

    def call(self, inputs):
        size, channels = inputs.shape[2], inputs.shape[-1]
        taps = size * size
        motion = ops.reshape(inputs, (-1, inputs.shape[1], taps, channels))
        centre = ops.cast(ops.arange(taps) == taps // 2, motion.dtype)[:, None]
        if self.mode == "softmax":
            odds = _CENTRE_WEIGHT / (1.0 - _CENTRE_WEIGHT)
            logits = motion + math.log(odds * max(taps - 1, 1)) * centre
            filters = ops.softmax(logits, axis=2)
        else:
            if self.mode == "sum_to_one":
                motion = motion - ops.mean(motion, axis=2, keepdims=True)
            filters = motion + centre
        return ops.reshape(filters, (-1, *inputs.shape[1:]))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}
