"""Spatio-temporal channel correlation: which channels matter, with and without time."""

import keras
from keras import ops

from keras_dynamonet.layers.arguments import require_known, require_positive


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class STCBlock(keras.layers.Layer):
    """Scales channels by two learned gates and averages the two results.

    - Temporal branch (TCB): pooled over space and time, `C -> C/r -> C`.
    - Spatial branch (SCB): pooled over space only, `T*C -> T*C/r -> C`.

    `y = (x * sigmoid(tcb) + x * sigmoid(scb)) / 2`

    The spatial branch ties its weights to the number of frames: a network with STC
    works at one clip length. The paper's reduction ratio and gate are not known to us;
    the ratio is an argument, the gate the usual ReLU and sigmoid.

    Args:
        ratio: Reduction `r` of both hidden layers.

    Input shape:
        `(batch, frames, height, width, channels)`, all but batch known.

    Output shape:
        The input shape.

    Raises:
        ValueError: If `ratio` is below 1 or a size of the clip unknown.

    Reference:
        Diba et al., *Spatio-Temporal Channel Correlation Networks for Action
        Classification*, ECCV 2018, section 3.

    Example:

    >>> STCBlock(ratio=4)(keras.ops.ones((2, 4, 8, 8, 16))).shape
    TensorShape([2, 4, 8, 8, 16])
    """

    def __init__(self, ratio=16, **kwargs):
        super().__init__(**kwargs)
        require_positive(ratio=ratio)
        self.ratio = ratio

    def build(self, input_shape):
        require_known(input_shape)
        _, frames, _, _, channels = input_shape

        def branch(name, inputs):
            hidden = keras.layers.Dense(
                max(inputs // self.ratio, 1),
                activation="relu",
                dtype=self.dtype_policy,
                name=f"{name}_reduce",
            )
            gate = keras.layers.Dense(
                channels,
                activation="sigmoid",
                dtype=self.dtype_policy,
                name=f"{name}_gate",
            )
            hidden.build((None, inputs))
            gate.build((None, hidden.units))
            return hidden, gate

        self.temporal_reduce, self.temporal_gate = branch("temporal", channels)
        self.spatial_reduce, self.spatial_gate = branch("spatial", frames * channels)

    def call(self, inputs):
        _, frames, _, _, channels = inputs.shape
        per_frame = ops.mean(inputs, axis=(2, 3))  # (batch, frames, channels)
        temporal = self.temporal_gate(self.temporal_reduce(ops.mean(per_frame, axis=1)))
        flat = ops.reshape(per_frame, (-1, frames * channels))
        spatial = self.spatial_gate(self.spatial_reduce(flat))
        # One product serves both branches: (x * a + x * b) / 2 = x * (a + b) / 2.
        gate = (temporal + spatial) * 0.5
        return inputs * ops.reshape(gate, (-1, 1, 1, 1, channels))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "ratio": self.ratio}
