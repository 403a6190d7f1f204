"""The dynamic motion representation, made fit for a classifier."""

import keras
from keras import ops

HEADS = ("flatten", "temporal")


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class MotionDescriptor(keras.layers.Layer):
    """Turns the motion filters of a clip into one vector.

    The taps are standardised by their own running deviation (a tap of a solved filter
    varies by hundredths, a feature by ones), then

    - `flatten`: the filters of all frames side by side, as in the paper;
    - `temporal`: two convolutions over time, then mean and maximum over time, which
      keeps the order of events within their reach and forgets where they happened.

    Args:
        head: `"flatten"` or `"temporal"`.
        units: Channels of the convolutions of the temporal head.

    Input shape:
        `(batch, frames, k, k, channels)`, the motion part of the filters.

    Output shape:
        `(batch, frames * k * k * channels)` or `(batch, 2 * units)`

    Raises:
        ValueError: If `head` is unknown.

    Reference:
        Diba et al., *DynamoNet*, ICCV 2019, figure 2 (flattened filters).

    Example:

    >>> MotionDescriptor("temporal", 32)(keras.ops.ones((2, 16, 5, 5, 1))).shape
    TensorShape([2, 64])
    """

    def __init__(self, head="temporal", units=64, **kwargs):
        # Taps vary by hundredths: they must be standardised in full precision.
        super().__init__(autocast=False, **kwargs)
        if head not in HEADS:
            raise ValueError(f"`head` must be one of {HEADS}. Received: head={head!r}")
        self.head = head
        self.units = units
        self.standardize = keras.layers.BatchNormalization(
            center=False,
            scale=False,
            momentum=0.9,
            # The default of 1e-3 would drown taps that vary by hundredths.
            epsilon=1e-8,
            dtype="float32",
            name="standardize",
        )
        self.convolutions = []
        if head == "temporal":
            self.convolutions = [
                keras.layers.Conv1D(
                    units,
                    3,
                    padding="same",
                    data_format="channels_last",
                    activation="relu",
                    dtype=self.dtype_policy,
                    name=f"temporal{index}",
                )
                for index in (1, 2)
            ]

    def build(self, input_shape):
        batch, frames, height, width, channels = input_shape
        shape = (batch, frames, height * width * channels)
        self.standardize.build(shape)
        for convolution in self.convolutions:
            convolution.build(shape)
            shape = convolution.compute_output_shape(shape)

    def call(self, inputs, training=None):
        _, frames, height, width, channels = inputs.shape
        taps = ops.reshape(inputs, (-1, frames, height * width * channels))
        taps = self.standardize(taps, training=training)
        # A tap that never varied in training must not explode when it does.
        taps = ops.clip(taps, -10.0, 10.0)
        taps = ops.cast(taps, self.compute_dtype)
        if self.head == "flatten":
            return ops.reshape(taps, (-1, taps.shape[1] * taps.shape[2]))
        for convolution in self.convolutions:
            taps = convolution(taps)
        # A pool, not `ops.max`, whose gradient looks for the elements equal to the
        # maximum: XLA may compute them again with another rounding and find none.
        peak = ops.max_pool(taps, taps.shape[1], 1, "valid", "channels_last")[:, 0]
        return ops.concatenate([ops.mean(taps, axis=1), peak], axis=-1)

    def compute_output_shape(self, input_shape):
        batch, frames, height, width, channels = input_shape
        if self.head == "flatten":
            return (batch, frames * height * width * channels)
        return (batch, 2 * self.units)

    def get_config(self):
        return {**super().get_config(), "head": self.head, "units": self.units}
