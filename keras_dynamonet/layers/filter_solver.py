"""The best filter of every observed transition, in closed form."""

import keras
from keras import ops

METHODS = ("cholesky", "elimination", "conjugate_gradient")


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class FilterSolver(keras.layers.Layer):
    """Solves for the kernel that turns each frame into the next.

    `F[t] = argmin |F * x[t] - x[t+1]|^2 + ridge * |F - identity|^2`

    With `F = identity + G` this is `(A + ridge * I) G = b`, where `A` is the
    correlation of the neighbourhoods of `x[t]` with themselves and `b` with the change
    `x[t+1] - x[t]`. The result is `G`, the *motion part*: zero for a picture that
    stands still, also for a constant or black one, where `A` alone is singular.

    Neighbouring pixels are almost equal, so that `A` is badly conditioned: gradient
    descent on the same loss hardly leaves the identity, and this layer is the way round.

    Args:
        kernel_size: Odd side k of the filters.
        ridge: Pull towards the identity, relative to the mean power of the pixels.
        sample_stride: Distance of the pixels that enter the sums; 2 costs a quarter.
        per_channel: One kernel for each colour instead of a shared one.
        method: `"cholesky"`; or, made of sums and products only for exporters, which
            have no linear solve, `"elimination"` (`k * k` steps, as exact) or
            `"conjugate_gradient"` (`k * k` steps, to a few thousandths where the
            picture is smooth).

    Input shape:
        `(batch, frames, height, width, channels)`, pixels in [0, 1].

    Output shape:
        `(batch, frames - 1, k, k, channels or 1)`

    Raises:
        ValueError: If k is even, the frames are smaller than k, fewer than two frames
            come in, `ridge` is not positive, or `method` is unknown.

    Reference:
        The minimiser of DynamoNet's own frame loss (ICCV 2019) for a known next frame.

    Example:

    >>> FilterSolver(5)(keras.random.uniform((2, 4, 16, 16, 3))).shape
    TensorShape([2, 3, 5, 5, 1])
    """

    def __init__(
        self,
        kernel_size=5,
        *,
        ridge=1e-3,
        sample_stride=2,
        per_channel=False,
        method="cholesky",
        **kwargs,
    ):
        # The normal equations lose half of the digits: never below float32.
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        if kernel_size % 2 == 0:
            raise ValueError(
                f"`kernel_size` must be odd. Received: kernel_size={kernel_size}"
            )
        if ridge <= 0:
            raise ValueError(f"`ridge` must be positive. Received: ridge={ridge}")
        if method not in METHODS:
            raise ValueError(
                f"`method` must be one of {METHODS}. Received: method={method!r}"
            )
        self.kernel_size = kernel_size
        self.ridge = ridge
        self.sample_stride = sample_stride
        self.per_channel = per_channel
        self.method = method

    def build(self, input_shape):
        _, frames, height, width, _ = input_shape
        if frames < 2 or min(height, width) < self.kernel_size:
            raise ValueError(
                f"A clip must have at least 2 frames of at least {self.kernel_size} "
                f"pixels a side. Received: shape {tuple(input_shape)}"
            )

    def call(self, inputs):
        frames, change = inputs[:, :-1], inputs[:, 1:] - inputs[:, :-1]
        _, count, _, _, channels = frames.shape
        size, taps = self.kernel_size, self.kernel_size**2
        neighbours = self._samples(frames)  # (images, taps, channels, samples)
        change = self._samples(change, centre_only=True)
        if not self.per_channel:
            # All colours are samples of the one shared kernel.
            neighbours = ops.reshape(neighbours, (-1, taps, 1, _size(neighbours, 2)))
            change = ops.reshape(change, (-1, 1, 1, _size(change, 2)))
        neighbours = ops.transpose(neighbours, (0, 2, 1, 3))
        change = ops.transpose(change, (0, 2, 3, 1))  # (images, groups, samples, 1)
        samples = change.shape[2]
        matrix = ops.matmul(neighbours, ops.transpose(neighbours, (0, 1, 3, 2)))
        target = ops.matmul(neighbours, change)
        matrix, target = matrix / samples, target / samples
        power = ops.mean(ops.square(neighbours), axis=(2, 3), keepdims=True)
        # 1e-4 of full-scale power keeps a black picture solvable, too.
        damping = self.ridge * (power + 1e-4)
        matrix = matrix + damping * ops.eye(taps, dtype=matrix.dtype)
        if self.method == "cholesky":
            motion = _cholesky_solve(matrix, target)
        elif self.method == "elimination":
            motion = gauss_jordan(matrix, target)
        else:
            motion = conjugate_gradient(matrix, target, steps=taps)
        motion = ops.transpose(motion[..., 0], (0, 2, 1))  # (images, taps, groups)
        groups = channels if self.per_channel else 1
        return ops.reshape(motion, (-1, count, size, size, groups))

    def compute_output_shape(self, input_shape):
        batch, frames, _, _, channels = input_shape
        groups = channels if self.per_channel else 1
        return (batch, frames - 1, self.kernel_size, self.kernel_size, groups)

    def get_config(self):
        config = super().get_config()
        del config["dtype"]
        return {
            **config,
            "kernel_size": self.kernel_size,
            "ridge": self.ridge,
            "sample_stride": self.sample_stride,
            "per_channel": self.per_channel,
            "method": self.method,
        }

    def _samples(self, frames, centre_only=False):
        """Pixels around each sampled position: `(images, taps, channels, samples)`.

        Positions within `k // 2` of the edge are left out: the border is no motion.
        """
        _, _, height, width, channels = frames.shape
        size, step = self.kernel_size, self.sample_stride
        rim = size // 2
        offsets = [(rim, rim)] if centre_only else None
        offsets = offsets or [(y, x) for y in range(size) for x in range(size)]
        images = ops.reshape(frames, (-1, height, width, channels))
        images = ops.transpose(images, (0, 3, 1, 2))
        shifted = [
            images[
                :, :, y : height - 2 * rim + y : step, x : width - 2 * rim + x : step
            ]
            for y, x in offsets
        ]
        samples = shifted[0].shape[2] * shifted[0].shape[3]
        stack = ops.stack(shifted, axis=1)
        return ops.reshape(stack, (-1, len(offsets), channels, samples))


def gauss_jordan(matrix, target):
    """Solves `matrix @ x = target` by elimination, unrolled into sums and products.

    A positive definite matrix needs no pivoting, so that every step is static.

    Args:
        matrix: `(..., n, n)`, symmetric, positive definite.
        target: `(..., n, 1)`.

    Returns:
        `x` of shape `(..., n, 1)`.
    """
    size = matrix.shape[-1]
    identity = ops.eye(size, dtype=matrix.dtype)
    rows = ops.concatenate([matrix, target], axis=-1)
    for step in range(size):
        # The columns before `step` are unit vectors already: the first one left is 0.
        pivot = rows[..., step : step + 1, 1:] / rows[..., step : step + 1, :1]
        factors = rows[..., :1] - identity[:, step : step + 1]
        rows = rows[..., 1:] - factors * pivot
    return rows


def conjugate_gradient(matrix, target, steps):
    """Solves `matrix @ x = target` with sums and products only.

    Args:
        matrix: `(..., n, n)`, symmetric, positive definite.
        target: `(..., n, 1)`.
        steps: Iterations; n are exact but for rounding.

    Returns:
        `x` of shape `(..., n, 1)`.

    Reference:
        Hestenes and Stiefel, 1952, with the diagonal as preconditioner.
    """
    solution = ops.zeros_like(target)
    residual = target
    direction = residual
    power = ops.sum(residual * residual, axis=-2, keepdims=True)
    # Relative to the start: a zero target must neither divide by zero nor stop early.
    tiny = 1e-12 * power + 1e-30
    for _ in range(steps):
        image = ops.matmul(matrix, direction)
        curvature = ops.sum(direction * image, axis=-2, keepdims=True)
        # Once the residual is at rounding level, further steps only add noise.
        active = ops.cast(power > tiny, target.dtype)
        length = active * power / ops.maximum(curvature, 1e-30)
        solution = solution + length * direction
        residual = residual - length * image
        new_power = ops.sum(residual * residual, axis=-2, keepdims=True)
        ratio = active * new_power / ops.maximum(power, 1e-30)
        direction = residual + ratio * direction
        power = new_power
    return solution


def _cholesky_solve(matrix, target):
    factor = ops.cholesky(matrix)
    half = ops.solve_triangular(factor, target, lower=True)
    return ops.solve_triangular(
        ops.swapaxes(factor, -1, -2), half, lower=False
    )


def _size(tensor, start):
    size = 1
    for length in tensor.shape[start:]:
        size *= length
    return size
