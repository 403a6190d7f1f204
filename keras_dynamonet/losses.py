"""Losses between predicted and real frames.

Every loss takes frames `(batch, frames, height, width, channels)` with pixels in [0, 1]
and gives one number a clip, `(batch,)`, before Keras's reduction.
"""

import keras
from keras import ops

from keras_dynamonet.layers import backend_ops

_FRAME_AXES = (1, 2, 3, 4)


class _FrameLoss(keras.losses.Loss):
    """Mean over a clip of a function of the pixel error."""

    def call(self, y_true, y_pred):
        return ops.mean(self.pixel_loss(y_pred - y_true), axis=_FRAME_AXES)

    def pixel_loss(self, error):
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class L1FrameLoss(_FrameLoss):
    """Mean absolute error: `|e|`.

    Example:

    >>> float(L1FrameLoss()(ops.zeros((1, 2, 4, 4, 3)), ops.ones((1, 2, 4, 4, 3))))
    1.0
    """

    def __init__(self, name="l1_frame_loss", **kwargs):
        super().__init__(name=name, **kwargs)

    def pixel_loss(self, error):
        return ops.abs(error)


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class L2FrameLoss(_FrameLoss):
    """Mean squared error: `e^2`.

    Example:

    >>> float(L2FrameLoss()(ops.zeros((1, 2, 4, 4, 3)), ops.ones((1, 2, 4, 4, 3))))
    1.0
    """

    def __init__(self, name="l2_frame_loss", **kwargs):
        super().__init__(name=name, **kwargs)

    def pixel_loss(self, error):
        return ops.square(error)


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class HuberFrameLoss(_FrameLoss):
    """Squared error for small errors, absolute beyond `delta`, scaled to slope 1.

    `e^2 / (2 delta)` for `|e| <= delta`, else `|e| - delta / 2`

    Args:
        delta: Where the two meet, in [0, 1] of the pixel range.

    Raises:
        ValueError: If `delta` is not positive.

    Example:

    >>> loss = HuberFrameLoss(delta=0.5)
    >>> float(loss(ops.zeros((1, 2, 4, 4, 3)), ops.ones((1, 2, 4, 4, 3))))
    0.75
    """

    def __init__(self, delta=0.05, name="huber_frame_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        if delta <= 0:
            raise ValueError(f"`delta` must be positive. Received: delta={delta}")
        self.delta = delta

    def pixel_loss(self, error):
        size = ops.abs(error)
        # min(size, delta) makes one smooth expression of both branches.
        small = ops.minimum(size, self.delta)
        return small * (size - 0.5 * small) / self.delta

    def get_config(self):
        return {**super().get_config(), "delta": self.delta}


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class CharbonnierFrameLoss(_FrameLoss):
    """A smooth absolute error: `sqrt(e^2 + epsilon^2)`.

    Args:
        epsilon: Width of the rounded tip, in [0, 1] of the pixel range.

    Raises:
        ValueError: If `epsilon` is not positive.

    Example:

    >>> loss = CharbonnierFrameLoss(epsilon=1.0)
    >>> round(float(loss(ops.zeros((1, 1, 2, 2, 3)), ops.zeros((1, 1, 2, 2, 3)))), 3)
    1.0
    """

    def __init__(self, epsilon=1e-3, name="charbonnier_frame_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        if epsilon <= 0:
            raise ValueError(f"`epsilon` must be positive. Received: epsilon={epsilon}")
        self.epsilon = epsilon

    def pixel_loss(self, error):
        return ops.sqrt(ops.square(error) + self.epsilon**2)

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class GradientDifferenceFrameLoss(keras.losses.Loss):
    """Difference of the edge strengths: punishes blur, which squared error likes.

    `mean(| |dx y| - |dx p| |) + mean(| |dy y| - |dy p| |)`

    Reference:
        Mathieu et al., *Deep Multi-Scale Video Prediction Beyond Mean Square Error*,
        ICLR 2016, equation 6, with exponent 1.

    Example:

    >>> loss = GradientDifferenceFrameLoss()
    >>> float(loss(ops.zeros((1, 2, 4, 4, 3)), ops.ones((1, 2, 4, 4, 3))))
    0.0
    """

    def __init__(self, name="gradient_difference_frame_loss", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        def strength(frames, axis):
            size = frames.shape[axis]
            after = backend_ops.crop(frames, axis, 1, size)
            return ops.abs(after - backend_ops.crop(frames, axis, 0, size - 1))

        return sum(
            ops.mean(
                ops.abs(strength(y_true, axis) - strength(y_pred, axis)),
                axis=_FRAME_AXES,
            )
            for axis in (2, 3)
        )


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class SSIMFrameLoss(keras.losses.Loss):
    """Structural dissimilarity: `1 - SSIM`, in [0, 2].

    Local means, variances and covariance come from a uniform window, and
    `SSIM = (2 m_x m_y + c1)(2 s_xy + c2) / ((m_x^2 + m_y^2 + c1)(s_x + s_y + c2))`
    with `c1 = 0.01^2, c2 = 0.03^2`, averaged over positions, frames and channels.

    Args:
        window: Side of the window in pixels; at most the frame.

    Raises:
        ValueError: If `window` is below 2 or larger than the frame.

    Reference:
        Wang et al., *Image Quality Assessment*, IEEE TIP 2004, equation 13.

    Example:

    >>> frames = keras.random.uniform((1, 2, 16, 16, 3))
    >>> round(float(SSIMFrameLoss()(frames, frames)), 5)
    0.0
    """

    def __init__(self, window=7, name="ssim_frame_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        if window < 2:
            raise ValueError(f"`window` must be at least 2. Received: window={window}")
        self.window = window

    def call(self, y_true, y_pred):
        _, frames, height, width, channels = y_true.shape
        if min(height, width) < self.window:
            raise ValueError(
                f"`window` must not exceed the frame. Received: window={self.window}, "
                f"frames of {height} x {width}"
            )

        def local_mean(images):
            images = ops.reshape(images, (-1, height, width, channels))
            return ops.average_pool(images, self.window, 1, "valid", "channels_last")

        mean_true, mean_pred = local_mean(y_true), local_mean(y_pred)
        var_true = local_mean(y_true * y_true) - mean_true * mean_true
        var_pred = local_mean(y_pred * y_pred) - mean_pred * mean_pred
        covariance = local_mean(y_true * y_pred) - mean_true * mean_pred
        c1, c2 = 0.01**2, 0.03**2
        similarity = (2 * mean_true * mean_pred + c1) * (2 * covariance + c2)
        similarity /= (mean_true**2 + mean_pred**2 + c1) * (var_true + var_pred + c2)
        per_frame = ops.mean(similarity, axis=(1, 2, 3))
        return 1.0 - ops.mean(ops.reshape(per_frame, (-1, frames)), axis=1)

    def get_config(self):
        return {**super().get_config(), "window": self.window}


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class WeightedFrameLoss(keras.losses.Loss):
    """A weighted sum of frame losses.

    Args:
        weights: Weight of each loss by name, e.g. `{"huber": 1.0, "ssim": 0.1}`.

    Raises:
        ValueError: If `weights` is empty, or a name is unknown.

    Example:

    >>> loss = WeightedFrameLoss({"l1": 1.0, "l2": 3.0})
    >>> float(loss(ops.zeros((1, 2, 4, 4, 3)), ops.ones((1, 2, 4, 4, 3))))
    4.0
    """

    def __init__(self, weights, name="weighted_frame_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        if not weights:
            raise ValueError("`weights` must name at least one loss. Received: none")
        self.weights = dict(weights)
        self.losses = {loss: get_frame_loss(loss) for loss in self.weights}

    def call(self, y_true, y_pred):
        return sum(
            weight * self.losses[loss].call(y_true, y_pred)
            for loss, weight in self.weights.items()
        )

    def get_config(self):
        return {**super().get_config(), "weights": self.weights}


FRAME_LOSSES = {
    "l1": L1FrameLoss,
    "l2": L2FrameLoss,
    "huber": HuberFrameLoss,
    "charbonnier": CharbonnierFrameLoss,
    "ssim": SSIMFrameLoss,
    "gradient_difference": GradientDifferenceFrameLoss,
}


def get_frame_loss(identifier):
    """A frame loss by name, by weights, or as it is.

    Args:
        identifier: A name of `FRAME_LOSSES`, a dictionary of names and weights, or a
            `keras.losses.Loss`.

    Returns:
        A `keras.losses.Loss` on frames.

    Raises:
        ValueError: If the name is unknown or the type is none of these.

    Example:

    >>> get_frame_loss({"huber": 1.0, "gradient_difference": 0.5}).name
    'weighted_frame_loss'
    """
    if isinstance(identifier, keras.losses.Loss):
        return identifier
    if isinstance(identifier, dict):
        return WeightedFrameLoss(identifier)
    if isinstance(identifier, str) and identifier in FRAME_LOSSES:
        return FRAME_LOSSES[identifier]()
    raise ValueError(
        f"A frame loss must be one of {sorted(FRAME_LOSSES)}, a dictionary of these "
        f"with weights, or a Loss. Received: {identifier!r}"
    )
