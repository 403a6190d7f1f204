"""3D pooling that also runs where only 2D pools exist."""

import keras
from keras import ops

from keras_dynamonet.layers import backend_ops
from keras_dynamonet.layers.arguments import (
    require_known,
    require_positive,
    triple,
)

FORMS = ("auto", "native", "planar")


class _Pooling3D(keras.layers.Layer):
    """What both pools share: arguments, shapes and the two forms."""

    def __init__(self, pool_size=2, *, strides=None, padding=0, form="auto", **kwargs):
        super().__init__(**kwargs)
        self.pool_size = triple(pool_size)
        self.strides = self.pool_size if strides is None else triple(strides)
        self.padding = triple(padding)
        self.form = form
        require_positive(pool_size=self.pool_size, strides=self.strides)
        for size, pad in zip(self.pool_size, self.padding, strict=True):
            if not 0 <= 2 * pad <= size:
                raise ValueError(
                    "`padding` must be from 0 to half of `pool_size`. "
                    f"Received: padding={padding}, pool_size={pool_size}"
                )
        if form not in FORMS:
            raise ValueError(f"`form` must be one of {FORMS}. Received: form={form!r}")

    def build(self, input_shape):
        require_known(input_shape)

    def call(self, inputs):
        inputs = self._pad(inputs)
        return self._planar(inputs) if self._is_planar() else self._native(inputs)

    def compute_output_shape(self, input_shape):
        batch, *sizes, channels = input_shape
        sizes = (
            None if n is None else (n + 2 * pad - size) // stride + 1
            for n, size, stride, pad in zip(
                sizes, self.pool_size, self.strides, self.padding, strict=True
            )
        )
        return (batch, *sizes, channels)

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "form": self.form,
        }

    def _is_planar(self):
        if self.form == "auto":
            # TensorFlow has no 3D pools in bfloat16 and TFLite none at all.
            return keras.backend.backend() == "tensorflow"
        return self.form == "planar"

    def _planar(self, inputs):
        """A 2D pool of every frame, then one over the frames."""
        _, frames, height, width, channels = inputs.shape
        images = ops.reshape(inputs, (-1, height, width, channels))
        images = self._pool(images, self.pool_size[1:], self.strides[1:])
        _, height, width, _ = images.shape
        rows = ops.reshape(images, (-1, frames, height * width, channels))
        rows = self._pool(rows, (self.pool_size[0], 1), (self.strides[0], 1))
        return ops.reshape(rows, (-1, rows.shape[1], height, width, channels))

    def _native(self, inputs):
        return self._pool(inputs, self.pool_size, self.strides)


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class MaxPool3D(_Pooling3D):
    """3D max pooling; padding never wins.

    Args:
        pool_size: Window along frames, height and width, or one size for all.
        strides: Default: `pool_size`.
        padding: Positions added on every side, at most half of the window.
        form: `"native"` (one 3D pool), `"planar"` (two 2D pools, equal to the last
            bit) or `"auto"` (planar on TensorFlow, whose 3D pools lack bfloat16).

    Input shape:
        `(batch, frames, height, width, channels)`, all but batch known.

    Output shape:
        `(batch, (frames + 2 * padding - pool_size) // strides + 1, ..., channels)`

    Raises:
        ValueError: If a number is not positive, the padding exceeds half of the window,
            `form` is unknown, or a size of the clip is.

    Example:

    >>> MaxPool3D(3, strides=2, padding=1)(keras.ops.ones((2, 8, 32, 32, 4))).shape
    TensorShape([2, 4, 16, 16, 4])
    """

    def _pad(self, inputs):
        if not any(self.padding):
            return inputs
        if not self._is_planar():
            # TensorFlow's 3D kernel gives every equal maximum the whole gradient:
            # repeated borders would count up to eight times.
            pads = [[0, 0], *([p, p] for p in self.padding), [0, 0]]
            return ops.pad(inputs, pads, constant_values=float("-inf"))
        # Repeating the border changes no maximum, since every window that reaches into
        # the padding holds the border itself; unlike minus infinity it quantises.
        for axis, pad in enumerate(self.padding, start=1):
            if pad:
                size = inputs.shape[axis]
                first = backend_ops.crop(inputs, axis, 0, 1)
                last = backend_ops.crop(inputs, axis, size - 1, size)
                inputs = ops.concatenate(
                    [first] * pad + [inputs] + [last] * pad, axis=axis
                )
        return inputs

    def _pool(self, inputs, pool_size, strides):
        return ops.max_pool(inputs, pool_size, strides, "valid", "channels_last")


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class AveragePool3D(_Pooling3D):
    """3D average pooling; padding counts as zeros, as in PyTorch.

    Args:
        pool_size: Window along frames, height and width, or one size for all.
        strides: Default: `pool_size`.
        padding: Zeros added on every side, at most half of the window.
        form: As for :class:`MaxPool3D`; the planar form is equal to 1e-6.

    Input shape:
        `(batch, frames, height, width, channels)`, all but batch known.

    Output shape:
        `(batch, (frames + 2 * padding - pool_size) // strides + 1, ..., channels)`

    Raises:
        ValueError: If a number is not positive, the padding exceeds half of the window,
            `form` is unknown, or a size of the clip is.

    Example:

    >>> AveragePool3D((1, 2, 2))(keras.ops.ones((2, 8, 32, 32, 4))).shape
    TensorShape([2, 8, 16, 16, 4])
    """

    def _pad(self, inputs):
        if not any(self.padding):
            return inputs
        return ops.pad(inputs, [[0, 0], *([p, p] for p in self.padding), [0, 0]])

    def _pool(self, inputs, pool_size, strides):
        return ops.average_pool(inputs, pool_size, strides, "valid", "channels_last")
