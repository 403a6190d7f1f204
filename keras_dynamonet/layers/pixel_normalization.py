"""From raw pixels to what a network expects, inside the network."""

import keras
import numpy as np
from keras import ops

KINETICS_MEAN = (0.4345, 0.4051, 0.3775)
KINETICS_STD = (0.2768, 0.2713, 0.2737)


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class PixelNormalization(keras.layers.Layer):
    """Scales pixels to [0, 1], subtracts the mean, divides by the deviation.

    `y = (x / 255 - mean) / std`

    As a layer of the network it travels with every saved and exported model, so that
    no artefact can be fed with other preprocessing than it was trained with.

    Args:
        mean: Mean of each channel, of pixels in [0, 1]. Default: that of Kinetics.
        std: Standard deviation of each channel, of pixels in [0, 1].

    Input shape:
        `(batch, frames, height, width, channels)`, uint8 or float, in [0, 255].

    Output shape:
        The input shape, in the layer's compute dtype.

    Raises:
        ValueError: If a deviation is not positive or the lengths differ.

    Example:

    >>> import numpy as np
    >>> layer = PixelNormalization(mean=(0.5,) * 3, std=(0.5,) * 3)
    >>> float(layer(np.full((1, 1, 1, 1, 3), 255, "uint8"))[0, 0, 0, 0, 0])
    1.0
    """

    def __init__(self, mean=KINETICS_MEAN, std=KINETICS_STD, **kwargs):
        # Integers must reach `call` as they are.
        super().__init__(autocast=False, **kwargs)
        self.mean = tuple(float(value) for value in mean)
        self.std = tuple(float(value) for value in std)
        if len(self.mean) != len(self.std) or min(self.std) <= 0:
            raise ValueError(
                "`mean` and `std` must have one entry a channel, `std` positive. "
                f"Received: mean={mean}, std={std}"
            )

    def call(self, inputs):
        # (x / 255 - mean) / std as one product and one sum, over rows of pixels: a
        # factor for each of 3 channels is too short for the vector units of a CPU.
        *positions, width, channels = inputs.shape
        scale = np.tile([1.0 / (255.0 * s) for s in self.std], width)
        offset = np.tile(
            [-m / s for m, s in zip(self.mean, self.std, strict=True)], width
        )
        rows = ops.reshape(inputs, (-1, *positions[1:], width * channels))
        outputs = ops.cast(rows, "float32") * ops.convert_to_tensor(scale, "float32")
        outputs = outputs + ops.convert_to_tensor(offset, "float32")
        outputs = ops.reshape(outputs, (-1, *positions[1:], width, channels))
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "std": self.std}
