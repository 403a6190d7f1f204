"""Where motion filters come from when they are not solved for: small networks.

Every layer here gives the *motion part* `G` of the filters, `(batch, frames, k, k,
channels or 1)`: what is added to the identity kernel. The generators start at `G = 0`,
so that the first prediction of an untrained network is the last frame itself; the
forecaster starts with all of the last motion.
"""

import keras
from keras import ops

# Solved filters differ from the identity by a few hundredths a tap; at this scale the
# last layer's outputs are of order one.
_FILTER_SCALE = 0.1


class _FilterOutput(keras.layers.Layer):
    """Arguments and shapes that the generators share."""

    def __init__(self, num_frames, kernel_size=5, *, channels=1, **kwargs):
        super().__init__(**kwargs)
        if kernel_size % 2 == 0:
            raise ValueError(
                f"`kernel_size` must be odd. Received: kernel_size={kernel_size}"
            )
        self.num_frames = num_frames
        self.kernel_size = kernel_size
        self.channels = channels

    @property
    def weights_per_filter(self):
        return self.kernel_size**2 * self.channels

    def compute_output_shape(self, input_shape):
        size = self.kernel_size
        return (input_shape[0], self.num_frames, size, size, self.channels)

    def get_config(self):
        return {
            **super().get_config(),
            "num_frames": self.num_frames,
            "kernel_size": self.kernel_size,
            "channels": self.channels,
        }

    def _as_filters(self, values):
        size = self.kernel_size
        shape = (-1, self.num_frames, size, size, self.channels)
        return ops.reshape(values * _FILTER_SCALE, shape)


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class PooledFilterGenerator(_FilterOutput):
    """All filters of a clip from its pooled feature: the simplest reading of the paper.

    `G = 0.1 * dense(feature)`

    Args:
        num_frames: Number of filters T.
        kernel_size: Odd side k.
        channels: 1 for a kernel shared by the colours, else their number.

    Input shape:
        `(batch, features)`

    Output shape:
        `(batch, num_frames, k, k, channels)`

    Raises:
        ValueError: If `kernel_size` is even.

    Reference:
        Diba et al., *DynamoNet*, ICCV 2019, figure 2.

    Example:

    >>> PooledFilterGenerator(16)(keras.ops.ones((2, 512))).shape
    TensorShape([2, 16, 5, 5, 1])
    """

    def build(self, input_shape):
        self.output_layer = keras.layers.Dense(
            self.num_frames * self.weights_per_filter,
            kernel_initializer="zeros",
            dtype=self.dtype_policy,
            name="filters",
        )
        self.output_layer.build(input_shape)

    def call(self, inputs):
        return self._as_filters(self.output_layer(inputs))


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class FrameFilterGenerator(_FilterOutput):
    """The filters from features that still have a time axis, one per frame.

    Mean and maximum over space of every feature frame, repeated up to T frames, then
    two convolutions over time.

    Args:
        num_frames: Number of filters T; a multiple of the feature frames.
        kernel_size: Odd side k.
        channels: 1 for a kernel shared by the colours, else their number.
        units: Channels of the hidden convolution.

    Input shape:
        `(batch, feature_frames, height, width, features)`

    Output shape:
        `(batch, num_frames, k, k, channels)`

    Raises:
        ValueError: If `kernel_size` is even, or T is no multiple of the feature frames.

    Example:

    >>> FrameFilterGenerator(16)(keras.ops.ones((2, 8, 14, 14, 64))).shape
    TensorShape([2, 16, 5, 5, 1])
    """

    def __init__(self, num_frames, kernel_size=5, *, channels=1, units=64, **kwargs):
        super().__init__(num_frames, kernel_size, channels=channels, **kwargs)
        self.units = units

    def build(self, input_shape):
        batch, feature_frames, _, _, features = input_shape
        if self.num_frames % feature_frames:
            raise ValueError(
                "`num_frames` must be a multiple of the frames of the feature. "
                f"Received: num_frames={self.num_frames}, feature {input_shape}"
            )
        self.hidden = keras.layers.Conv1D(
            self.units,
            3,
            padding="same",
            data_format="channels_last",
            activation="relu",
            dtype=self.dtype_policy,
            name="hidden",
        )
        self.output_layer = keras.layers.Conv1D(
            self.weights_per_filter,
            3,
            padding="same",
            data_format="channels_last",
            kernel_initializer="zeros",
            dtype=self.dtype_policy,
            name="filters",
        )
        self.hidden.build((batch, self.num_frames, 2 * features))
        self.output_layer.build((batch, self.num_frames, self.units))

    def call(self, inputs):
        _, feature_frames, height, width, channels = inputs.shape
        mean = ops.mean(inputs, axis=(2, 3))
        # A pool, not `ops.max`, whose gradient looks for the elements equal to the
        # maximum: XLA may compute them again with another rounding and find none.
        images = ops.reshape(inputs, (-1, height, width, channels))
        peak = ops.max_pool(images, (height, width), 1, "valid", "channels_last")
        peak = ops.reshape(peak, (-1, feature_frames, channels))
        features = ops.concatenate([mean, peak], axis=-1)
        features = ops.repeat(features, self.num_frames // feature_frames, axis=1)
        return self._as_filters(self.output_layer(self.hidden(features)))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class FilterForecaster(_FilterOutput):
    """The filter of the transition that nobody has seen, from the last ones.

    `G[T] = persistence * G[T-1] + 0.1 * mlp(10 * [G[T-context], ..., G[T-1]])`

    `persistence` has one weight for each tap and starts at one: what moved goes on
    moving; the network, a hidden layer with ReLU, starts at zero.

    Args:
        kernel_size: Odd side k.
        channels: Channels of the filters.
        units: Width of the hidden layer.
        context: How many transitions back it looks.

    Input shape:
        `(batch, transitions, k, k, channels)`

    Output shape:
        `(batch, 1, k, k, channels)`

    Raises:
        ValueError: If `kernel_size` is even.

    Example:

    >>> FilterForecaster()(keras.ops.zeros((2, 15, 5, 5, 1))).shape
    TensorShape([2, 1, 5, 5, 1])
    """

    def __init__(self, kernel_size=5, *, channels=1, units=64, context=6, **kwargs):
        super().__init__(1, kernel_size, channels=channels, **kwargs)
        self.units = units
        self.context = context

    def build(self, input_shape):
        batch, transitions = input_shape[:2]
        self.persistence = self.add_weight(
            name="persistence",
            shape=(self.weights_per_filter,),
            initializer="ones",
        )
        inputs = min(self.context, transitions) * self.weights_per_filter
        self.hidden = keras.layers.Dense(
            self.units, activation="relu", dtype=self.dtype_policy, name="hidden"
        )
        self.output_layer = keras.layers.Dense(
            self.weights_per_filter,
            kernel_initializer="zeros",
            dtype=self.dtype_policy,
            name="filters",
        )
        self.hidden.build((batch, inputs))
        self.output_layer.build((batch, self.units))

    def call(self, inputs):
        transitions = inputs.shape[1]
        context = min(self.context, transitions)
        recent = ops.reshape(
            inputs[:, transitions - context :],
            (-1, context * self.weights_per_filter),
        )
        last = recent[:, -self.weights_per_filter :]
        learned = self.output_layer(self.hidden(recent / _FILTER_SCALE))
        persistent = self.persistence * last / _FILTER_SCALE
        return self._as_filters(persistent + learned)

    def get_config(self):
        config = super().get_config()
        del config["num_frames"]
        return {**config, "units": self.units, "context": self.context}
