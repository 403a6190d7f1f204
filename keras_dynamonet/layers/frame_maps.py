"""Learned maps of single frames, for motion filters to be solved on."""

import keras
import numpy as np
from keras import ops

# Spread of the weights around the mean of the colours: without it all maps would be
# alike and stay so.
_SPREAD = 0.05


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class FrameMaps(keras.layers.Layer):
    """Turns every frame into maps by a learned convolution without a bias.

    The maps start near the brightness of the frame, so that filters solved on them
    start near those solved on pixels. A solver gains from maps that leave out what
    stands in its way: smooth areas, where neighbouring pixels are almost equal.

    Args:
        maps: Number of maps.
        kernel_size: Odd side of the convolution.

    Input shape:
        `(batch, frames, height, width, channels)`, pixels in [0, 1].

    Output shape:
        `(batch, frames, height, width, maps)`

    Raises:
        ValueError: If `maps` is below 1 or `kernel_size` is even.

    Example:

    >>> FrameMaps(4)(keras.ops.ones((2, 16, 32, 32, 3))).shape
    TensorShape([2, 16, 32, 32, 4])
    """

    def __init__(self, maps=4, kernel_size=3, **kwargs):
        super().__init__(**kwargs)
        if maps < 1:
            raise ValueError(f"`maps` must be at least 1. Received: maps={maps}")
        if kernel_size % 2 == 0:
            raise ValueError(
                f"`kernel_size` must be odd. Received: kernel_size={kernel_size}"
            )
        self.maps = maps
        self.kernel_size = kernel_size

    def build(self, input_shape):
        size, channels = self.kernel_size, input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(size, size, channels, self.maps),
            initializer=keras.initializers.RandomNormal(stddev=_SPREAD),
        )

    def call(self, inputs):
        _, frames, height, width, channels = inputs.shape
        images = ops.reshape(inputs, (-1, height, width, channels))
        brightness = np.zeros(self.kernel.shape, "float32")
        brightness[self.kernel_size // 2, self.kernel_size // 2] = 1 / channels
        kernel = self.kernel + ops.convert_to_tensor(brightness, self.compute_dtype)
        maps = ops.conv(images, kernel, padding="same", data_format="channels_last")
        return ops.reshape(maps, (-1, frames, height, width, self.maps))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.maps)

    def get_config(self):
        config = super().get_config()
        return {**config, "maps": self.maps, "kernel_size": self.kernel_size}
