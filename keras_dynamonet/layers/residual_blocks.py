"""The residual blocks of 3D ResNet and 3D ResNeXt.

```
            bottleneck                      basic
  x ------------------------.     x ------------------------.
  | 1x1x1, norm, relu       |     | 3x3x3 grouped, norm,    |
  | 3x3x3 grouped, norm,    |     |   relu                  |
  |   relu  (strides here)  | s   |   (strides here)        | s
  | 1x1x1, norm             |     | 3x3x3 grouped, norm     |
  | STC (optional)          |     | STC (optional)          |
  + <----------------------'      + <----------------------'
  | relu                          | relu
```

Two variations of both: a 3x3x3 convolution in two pieces, 1x3x3 and 3x1x1 with norm and
relu between (R(2+1)D); and pre-activation, where norm and relu stand before each
convolution instead of after it, and none after the sum.
"""

import keras
from keras import ops

from keras_dynamonet.layers.arguments import triple
from keras_dynamonet.layers.conv_norm import (
    NORM_ARGUMENTS,
    ConvNorm,
    VideoBatchNormalization,
)
from keras_dynamonet.layers.stc_block import STCBlock

SHORTCUTS = ("A", "B")


class _ResidualBlock(keras.layers.Layer):
    """Shortcut, sum and ReLU around the convolutions that a subclass defines."""

    def __init__(
        self,
        width,
        *,
        expansion,
        strides=1,
        groups=1,
        kernel_size=3,
        middle=None,
        pre_activation=False,
        shortcut="B",
        stc_ratio=None,
        zero_gamma=False,
        folded=False,
        form="auto",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.width = width
        self.expansion = expansion
        self.strides = triple(strides)
        self.groups = groups
        self.kernel_size = triple(kernel_size)
        self.middle = None if middle is None else tuple(middle)
        self.pre_activation = pre_activation
        self.shortcut = shortcut
        self.stc_ratio = stc_ratio
        self.zero_gamma = zero_gamma
        self.folded = folded
        self.form = form
        if shortcut not in SHORTCUTS:
            raise ValueError(
                f"`shortcut` must be one of {SHORTCUTS}. "
                f"Received: shortcut={shortcut!r}"
            )
        self.norm = None
        if pre_activation:
            self.norm = VideoBatchNormalization(
                **NORM_ARGUMENTS, dtype=self.dtype_policy, name="norm"
            )
        self.convolutions = self._make_convolutions()
        self.stc = None
        if stc_ratio is not None:
            self.stc = STCBlock(stc_ratio, dtype=self.dtype_policy, name="stc")
        self.projection = None

    @property
    def filters(self):
        """Number of output channels."""
        return self.width * self.expansion

    def build(self, input_shape):
        shape = input_shape
        if self.norm is not None:
            self.norm.build(shape)
        for unit in self.convolutions:
            unit.build(shape)
            shape = unit.compute_output_shape(shape)
        if self.stc is not None:
            self.stc.build(shape)
        channels = input_shape[-1]
        if self.shortcut == "A" and channels > self.filters:
            raise ValueError(
                "Shortcut 'A' only adds channels. "
                f"Received: {channels} channels for a block of {self.filters}"
            )
        if self._changes_shape(input_shape) and self.shortcut == "B":
            self.projection = self._conv_norm(
                self.filters,
                1,
                strides=self.strides,
                activation=False,
                name="projection",
            )
            self.projection.build(input_shape)

    def call(self, inputs, training=None):
        outputs = inputs
        if self.norm is not None:
            outputs = ops.relu(self.norm(outputs, training=training))
        for unit in self.convolutions:
            outputs = unit(outputs, training=training)
        if self.stc is not None:
            outputs = self.stc(outputs)
        outputs = outputs + self._shortcut(inputs, training)
        return outputs if self.pre_activation else ops.relu(outputs)

    def compute_output_shape(self, input_shape):
        shape = input_shape
        for unit in self.convolutions:
            shape = unit.compute_output_shape(shape)
        return shape

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "expansion": self.expansion,
            "strides": self.strides,
            "groups": self.groups,
            "kernel_size": self.kernel_size,
            "middle": self.middle,
            "pre_activation": self.pre_activation,
            "shortcut": self.shortcut,
            "stc_ratio": self.stc_ratio,
            "zero_gamma": self.zero_gamma,
            "folded": self.folded,
            "form": self.form,
        }

    def _make_convolutions(self):
        raise NotImplementedError

    def _grouped(self, index, name, strides=(1, 1, 1), **kwargs):
        """The `index`-th 3x3x3 convolution: one unit, or one in space, one in time."""
        kwargs["name"] = name
        if self.middle is None:
            size, groups = self.kernel_size, self.groups
            return [
                self._conv_norm(
                    self.width, size, strides=strides, groups=groups, **kwargs
                )
            ]
        in_space = self._conv_norm(
            self.middle[index],
            (1, *self.kernel_size[1:]),
            strides=(1, *strides[1:]),
            groups=self.groups,
            name=f"{name}_space",
        )
        in_time = self._conv_norm(
            self.width,
            (self.kernel_size[0], 1, 1),
            strides=(strides[0], 1, 1),
            groups=self.groups,
            **kwargs,
        )
        return [in_space, in_time]

    def _last(self):
        """Arguments of the last unit: nothing but the sum may follow a convolution."""
        return {
            "activation": False,
            "normalise": not self.pre_activation,
            "zero_gamma": self.zero_gamma,
        }

    def _conv_norm(self, filters, kernel_size, **kwargs):
        return ConvNorm(
            filters,
            kernel_size,
            folded=self.folded,
            form=self.form,
            dtype=self.dtype_policy,
            **kwargs,
        )

    def _changes_shape(self, input_shape):
        return input_shape[-1] != self.filters or self.strides != (1, 1, 1)

    def _shortcut(self, inputs, training):
        if self.projection is not None:
            return self.projection(inputs, training=training)
        if not self._changes_shape(inputs.shape):
            return inputs
        # Type A: subsample, pad the new channels with zeros. The published networks
        # pass no gradient through it.
        frames, rows, columns = self.strides
        inputs = ops.stop_gradient(inputs[:, ::frames, ::rows, ::columns])
        missing = self.filters - inputs.shape[-1]
        return ops.pad(inputs, [[0, 0]] * 4 + [[0, missing]])


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class BottleneckBlock(_ResidualBlock):
    """1x1x1, grouped 3x3x3, 1x1x1 convolutions around a shortcut.

    With `groups=32, expansion=2` the ResNeXt bottleneck, with `groups=1, expansion=4`
    that of ResNet.

    Args:
        width: Channels of the 3x3x3 convolution.
        expansion: Output channels are `width * expansion`.
        strides: Strides along frames, height and width, or one for all.
        groups: Cardinality: groups of the 3x3x3 convolution.
        kernel_size: Of the grouped convolution, if not 3x3x3, e.g. `(1, 3, 3)`.
        middle: Factorises the grouped convolution: `(channels,)` between its part in
            space and its part in time. `None` leaves it in one piece.
        pre_activation: Norm and ReLU before each convolution, none after the sum.
        shortcut: `"B"` (strided 1x1x1 convolution) or `"A"` (subsampling and zero
            channels, no weights, no gradient), used where the shape changes.
        stc_ratio: Reduction of an STC block before the sum, or `None` for none.
        zero_gamma: Start the last normalisation at zero: the block starts as identity.
        folded: Build the inference form (see :class:`ConvNorm`).
        form: Form of the convolutions (see :class:`GroupedConv3D`).

    Input shape:
        `(batch, frames, height, width, channels)`

    Output shape:
        `(batch, frames / stride, height / stride, width / stride, width * expansion)`

    Raises:
        ValueError: If `shortcut` is unknown, `groups` does not divide `width`,
            `zero_gamma` meets `pre_activation`, or shortcut `"A"` would have to take
            channels away.

    Reference:
        Hara et al., CVPR 2018, figure 3; Tran et al., CVPR 2018 (R(2+1)D).

    Example:

    >>> block = BottleneckBlock(32, expansion=2, groups=8, strides=2)
    >>> block(keras.ops.ones((2, 8, 16, 16, 16))).shape
    TensorShape([2, 4, 8, 8, 64])
    """

    def _make_convolutions(self):
        return [
            self._conv_norm(self.width, 1, name="reduce"),
            *self._grouped(0, "grouped", self.strides),
            self._conv_norm(self.filters, 1, name="expand", **self._last()),
        ]


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class BasicBlock(_ResidualBlock):
    """Two grouped 3x3x3 convolutions around a shortcut.

    Args:
        width: Channels of both convolutions.
        expansion: Must be 1.
        strides: Strides along frames, height and width, or one for all.
        groups: Groups of both convolutions.
        kernel_size: Of both convolutions.
        middle: Factorises both: the channels between space and time of each.
        pre_activation: As for :class:`BottleneckBlock`.
        shortcut: As for :class:`BottleneckBlock`.
        stc_ratio: As for :class:`BottleneckBlock`.
        zero_gamma: As for :class:`BottleneckBlock`.
        folded: As for :class:`BottleneckBlock`.
        form: As for :class:`BottleneckBlock`.

    Input shape:
        `(batch, frames, height, width, channels)`

    Output shape:
        `(batch, frames / stride, height / stride, width / stride, width)`

    Raises:
        ValueError: If `expansion` is not 1, or as for :class:`BottleneckBlock`.

    Reference:
        Hara et al., CVPR 2018, figure 3.

    Example:

    >>> block = BasicBlock(32, shortcut="A", strides=(1, 2, 2))
    >>> block(keras.ops.ones((2, 8, 16, 16, 16))).shape
    TensorShape([2, 8, 8, 8, 32])
    """

    def __init__(self, width, *, expansion=1, **kwargs):
        if expansion != 1:
            raise ValueError(
                f"`expansion` of a basic block must be 1. Received: {expansion}"
            )
        super().__init__(width, expansion=expansion, **kwargs)

    def _make_convolutions(self):
        return [
            *self._grouped(0, "first", self.strides),
            *self._grouped(1, "second", **self._last()),
        ]
