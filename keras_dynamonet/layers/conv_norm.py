"""Convolution, batch normalisation and activation as one foldable unit."""

import keras
import numpy as np
from keras import ops

from keras_dynamonet.layers import backend_ops
from keras_dynamonet.layers.grouped_conv3d import GroupedConv3D

NORM_ARGUMENTS = {"momentum": 0.9, "epsilon": 1e-5}
"""Of every normalisation: those of PyTorch's networks, which count momentum from 1."""

_SMALLEST_FUSED_EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class VideoBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation over the last axis, with the fastest kernel for training.

    Equal to `keras.layers.BatchNormalization`, whose arguments it takes; on TensorFlow
    it trains through the fused kernel, over twice as fast on 5D inputs.

    Example:

    >>> VideoBatchNormalization()(keras.ops.ones((2, 4, 8, 8, 3))).shape
    TensorShape([2, 4, 8, 8, 3])
    """

    def call(self, inputs, training=None, mask=None):
        fused = (
            self.axis in (-1, len(inputs.shape) - 1)
            and self.scale
            and self.center
            and not self.synchronized
            and not getattr(self, "renorm", False)  # of Keras 3.15
            and mask is None
            # TensorFlow's kernel raises a smaller epsilon to this one.
            and self.epsilon >= _SMALLEST_FUSED_EPSILON
            # It does not know these either.
            and keras.backend.standardize_dtype(inputs.dtype) != "float64"
        )
        if not (fused and training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        # With autocasting the variables would come in the compute dtype.
        gamma = ops.cast(self.gamma, "float32")
        beta = ops.cast(self.beta, "float32")
        outputs, mean, variance = backend_ops.batch_normalise(
            inputs, gamma, beta, self.epsilon
        )
        momentum = self.momentum
        for moving, batch in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            batch = ops.cast(batch, moving.dtype)
            moving.assign(moving * momentum + batch * (1.0 - momentum))
        return outputs


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class ConvNorm(keras.layers.Layer):
    """Convolution, batch normalisation, optional ReLU.

    `y = relu(gamma * (conv(x) - mean) / sqrt(variance + epsilon) + beta)`

    With `folded=True` the unit has no normalisation, only a convolution with bias:
    `conv` scaled by `gamma / sqrt(variance + epsilon)` computes the same numbers in one
    operation. :func:`folded_weights` gives its kernel and bias.

    Args:
        filters: Number of output channels.
        kernel_size: As for :class:`GroupedConv3D`.
        strides: As for :class:`GroupedConv3D`.
        groups: As for :class:`GroupedConv3D`.
        activation: Whether a ReLU follows.
        normalise: Whether batch normalisation follows the convolution.
        zero_gamma: Start with `gamma = 0`, so that a residual block starts as identity.
        folded: Build the inference form.
        form: Form of the convolution.

    Input shape:
        `(batch, frames, height, width, channels)`

    Output shape:
        That of the convolution.

    Raises:
        ValueError: As :class:`GroupedConv3D`, or if `zero_gamma` has no normalisation.

    Example:

    >>> ConvNorm(16, 3, strides=2)(keras.ops.ones((2, 8, 32, 32, 4))).shape
    TensorShape([2, 4, 16, 16, 16])
    """

    def __init__(
        self,
        filters,
        kernel_size=1,
        *,
        strides=1,
        groups=1,
        activation=True,
        normalise=True,
        zero_gamma=False,
        folded=False,
        form="auto",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if zero_gamma and not normalise:
            raise ValueError(
                "`zero_gamma` sets the last normalisation; without one (`normalise="
                "False`, or a block with `pre_activation`) it must be False."
            )
        self.activation = activation
        self.normalise = normalise
        self.zero_gamma = zero_gamma
        self.folded = folded
        self.conv = GroupedConv3D(
            filters,
            kernel_size,
            strides=strides,
            groups=groups,
            use_bias=folded,
            form=form,
            dtype=self.dtype_policy,
            name="conv",
        )
        self.norm = None
        if normalise and not folded:
            self.norm = VideoBatchNormalization(
                **NORM_ARGUMENTS,
                gamma_initializer="zeros" if zero_gamma else "ones",
                dtype=self.dtype_policy,
                name="norm",
            )

    def build(self, input_shape):
        self.conv.build(input_shape)
        if self.norm is not None:
            self.norm.build(self.conv.compute_output_shape(input_shape))

    def call(self, inputs, training=None):
        outputs = self.conv(inputs)
        if self.norm is not None:
            outputs = self.norm(outputs, training=training)
        return ops.relu(outputs) if self.activation else outputs

    def compute_output_shape(self, input_shape):
        return self.conv.compute_output_shape(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.conv.filters,
            "kernel_size": self.conv.kernel_size,
            "strides": self.conv.strides,
            "groups": self.conv.groups,
            "activation": self.activation,
            "normalise": self.normalise,
            "zero_gamma": self.zero_gamma,
            "folded": self.folded,
            "form": self.conv.form,
        }

    def folded_weights(self):
        """Kernel and bias of the folded unit, as NumPy float32 arrays.

        Returns:
            `(kernel, bias)`: the convolution kernel scaled by
            `gamma / sqrt(variance + epsilon)`, and `beta - mean * scale`.
        """
        kernel = ops.convert_to_numpy(self.conv.kernel).astype("float32")
        if self.folded:
            return kernel, ops.convert_to_numpy(self.conv.bias).astype("float32")
        if self.norm is None:
            return kernel, np.zeros(self.conv.filters, "float32")
        gamma, beta, mean, variance = (
            ops.convert_to_numpy(weight).astype("float32")
            for weight in (
                self.norm.gamma,
                self.norm.beta,
                self.norm.moving_mean,
                self.norm.moving_variance,
            )
        )
        scale = gamma / (variance + self.norm.epsilon) ** 0.5
        return kernel * scale, beta - mean * scale
