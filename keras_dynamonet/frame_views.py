"""Frames as a loss may see them: raw, without their low frequencies, or whitened.

Neighbouring pixels are almost equal: most of the power of a picture lies in its low
frequencies, which hardly move, so that a loss on raw pixels says little about motion.
"""

import keras
import numpy as np
from keras import ops

_SIZE = 9
# In cycles per pixel; noise rules beyond, up to the 0.5 that pixels can carry.
_CUTOFF = 0.4


def _high_pass() -> np.ndarray:
    """What a pixel differs by from the mean of its 5x5 neighbourhood."""
    kernel = -np.full((5, 5), 1 / 25)
    kernel[2, 2] += 1
    return kernel


def _whitening() -> np.ndarray:
    """`|f| exp(-(f / f0)^4)`, cut to 9x9 taps, without a mean."""
    frequency = np.fft.fftfreq(64)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    response = radius * np.exp(-((radius / _CUTOFF) ** 4))
    kernel = np.fft.fftshift(np.fft.ifft2(response).real)
    middle = slice(32 - _SIZE // 2, 32 + _SIZE // 2 + 1)
    kernel = kernel[middle, middle]
    return kernel - kernel.mean()


def _unit_power(kernel: np.ndarray) -> np.ndarray:
    """Scaled so that white noise keeps its deviation."""
    return (kernel / np.sqrt(np.square(kernel).sum())).astype("float32")


VIEWS = {
    "high_pass": _unit_power(_high_pass()),
    "whitened": _unit_power(_whitening()),
}
"""The constant kernel of each view but `"raw"`."""


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class ViewedFrameLoss(keras.losses.Loss):
    """A frame loss on frames seen through a constant filter.

    - `high_pass`: pixels less the mean of their 5x5 neighbourhood;
    - `whitened`: amplitudes raised in proportion to the frequency f, as `|f|
      exp(-(f / f0)^4)` with `f0 = 0.4` cycles a pixel, which makes neighbouring pixels
      of natural pictures nearly independent.

    Both are scaled to keep the deviation of white noise. Only pixels with a whole
    neighbourhood count: 2 pixels of each border are left out, or 4.

    Args:
        loss: A `keras.losses.Loss` on frames.
        view: `"high_pass"` or `"whitened"`.

    Raises:
        ValueError: If `view` is unknown.

    Reference:
        Olshausen and Field, *Emergence of Simple-Cell Receptive Field Properties*,
        Nature 1996 (whitening).

    Example:

    >>> loss = ViewedFrameLoss(keras.losses.MeanSquaredError(), "high_pass")
    >>> grey = ops.ones((1, 2, 16, 16, 3))
    >>> abs(round(float(loss(grey, 0.5 * grey)), 6))  # brightness is no motion
    0.0
    """

    def __init__(self, loss, view="high_pass", name="viewed_frame_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        if view not in VIEWS:
            raise ValueError(
                f"`view` must be one of {tuple(VIEWS)}. Received: view={view!r}"
            )
        self.loss = loss
        self.view = view

    def call(self, y_true, y_pred):
        return self.loss.call(self._seen(y_true), self._seen(y_pred))

    def _seen(self, clip):
        _, frames, height, width, channels = clip.shape
        planes = ops.transpose(clip, (0, 1, 4, 2, 3))
        planes = ops.reshape(planes, (-1, height, width, 1))
        kernel = ops.convert_to_tensor(VIEWS[self.view], planes.dtype)
        kernel = kernel[:, :, None, None]
        planes = ops.conv(planes, kernel, 1, "valid", data_format="channels_last")
        _, height, width, _ = planes.shape
        planes = ops.reshape(planes, (-1, frames, channels, height, width))
        return ops.transpose(planes, (0, 1, 3, 4, 2))

    def get_config(self):
        loss = keras.saving.serialize_keras_object(self.loss)
        return {**super().get_config(), "loss": loss, "view": self.view}

    @classmethod
    def from_config(cls, config):
        loss = keras.saving.deserialize_keras_object(config.pop("loss"))
        return cls(loss, **config)


def through_view(loss: keras.losses.Loss, view: str) -> keras.losses.Loss:
    """A frame loss on raw frames or on a view of them.

    Args:
        loss: A loss on frames.
        view: `"raw"`, `"high_pass"` or `"whitened"`.

    Raises:
        ValueError: If `view` is unknown.

    Example:

    >>> through_view(keras.losses.MeanSquaredError(), "whitened").view
    'whitened'
    """
    return loss if view == "raw" else ViewedFrameLoss(loss, view)
