"""The best filter of every observed transition, in closed form."""

import keras
import numpy as np
from keras import ops

from keras_dynamonet.layers.arguments import require_known, require_positive
from keras_dynamonet.layers.dynamic_motion_filter import neighbourhoods
from keras_dynamonet.layers.linear_solvers import SOLVE

METHODS = tuple(SOLVE)


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class FilterSolver(keras.layers.Layer):
    """Solves for the kernel that turns each frame into the next.

    `F[t] = argmin |F * x[t] - x[t+1]|^2 + ridge * |F - identity|^2`

    With `F = identity + G` this is `(A + ridge * I) G = b`, where `A` is the
    correlation of the neighbourhoods of `x[t]` with themselves and `b` with the change
    `x[t+1] - x[t]`. The result is `G`, the *motion part*: zero for a picture that
    stands still, also for a constant or black one, where `A` alone is singular.

    Neighbouring pixels are almost equal, so that `A` is badly conditioned (4e4 in
    videos): gradient descent on the same loss hardly leaves the identity, and float32
    would lose half of its digits. So the equations are set up between the coefficients
    of the neighbourhoods' discrete cosine transform, hardly correlated in pictures, and
    scaled to a diagonal of ones: what remains is a condition of about 10.

    Args:
        kernel_size: Odd side k of the filters.
        ridge: Pull towards the identity, relative to the mean power of the pixels.
        sample_stride: Distance of the pixels that enter the sums; 2 costs a quarter.
        luminance: Solve a shared kernel on the mean of the colours, a third of the
            cost: the colours of a thing move together.
        per_channel: One kernel for each colour instead of a shared one.
        method: `"cholesky"`; or, made of sums and products only for exporters, which
            have no linear solve, `"newton"` (a few products of matrices, as exact) or
            `"conjugate_gradient"` (`2 * k * k` steps, to 1e-3).

    Input shape:
        `(batch, frames, height, width, channels)`, pixels in [0, 1], all but batch
        known.

    Output shape:
        `(batch, frames - 1, k, k, channels or 1)`

    Raises:
        ValueError: If k is even, the frames are smaller than k, fewer than two frames
            come in, `ridge` is not positive, `sample_stride` is below 1, or `method` or
            a size of the clip is unknown.

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
        ridge=5e-4,
        sample_stride=2,
        luminance=True,
        per_channel=False,
        method="cholesky",
        **kwargs,
    ):
        # The normal equations square the pixels' condition: never below float32.
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        if kernel_size % 2 == 0:
            raise ValueError(
                f"`kernel_size` must be odd. Received: kernel_size={kernel_size}"
            )
        if ridge <= 0:
            raise ValueError(f"`ridge` must be positive. Received: ridge={ridge}")
        require_positive(sample_stride=sample_stride)
        if method not in METHODS:
            raise ValueError(
                f"`method` must be one of {METHODS}. Received: method={method!r}"
            )
        self.kernel_size = kernel_size
        self.ridge = ridge
        self.sample_stride = sample_stride
        self.luminance = luminance and not per_channel
        self.per_channel = per_channel
        self.method = method
        self.basis = cosine_basis(kernel_size)

    @property
    def sums_per_transition(self):
        """How many systems of equations are set up for a transition."""
        return 1

    def build(self, input_shape):
        require_known(input_shape)
        _, frames, height, width, channels = input_shape
        self.groups = channels if self.per_channel else 1
        if frames < 2 or min(height, width) < self.kernel_size:
            raise ValueError(
                f"A clip must have at least 2 frames of at least {self.kernel_size} "
                f"pixels a side. Received: shape {tuple(input_shape)}"
            )

    def call(self, inputs):
        return self.solve(self.normal_equations(inputs), self.ridge)

    def normal_equations(self, frames):
        """The sums over pixels that any solution needs, whatever its ridge.

        Args:
            frames: `(batch, frames, height, width, channels)`, pixels in [0, 1].

        Returns:
            `(matrix, target, transitions)`: `A`, `(batch * transitions * groups, k * k,
            k * k)`, and `b`, `(..., k * k, 1)`, both means over the sampled pixels and
            between cosine coefficients, and the number of transitions of a clip.
        """
        samples = self.samples(frames)
        return (*weighted_sums(*samples), frames.shape[1] - 1)

    def samples(self, frames):
        """What the sums run over: a row for every sampled pixel of a transition.

        Args:
            frames: `(batch, frames, height, width, channels)`, pixels in [0, 1].

        Returns:
            `(neighbours, change, offset)`: the cosine coefficients of the
            neighbourhoods of the earlier frame less its mean, `(batch * transitions *
            groups, samples, k * k)`; what the pixel changes by, `(..., samples, 1)`;
            and the coefficients of that mean, `(..., 1, k * k)`.
        """
        _, _, height, width, channels = frames.shape
        if self.luminance:
            frames, channels = ops.mean(frames, axis=-1, keepdims=True), 1
        before, change = frames[:, :-1], frames[:, 1:] - frames[:, :-1]
        size, step = self.kernel_size, self.sample_stride
        rim = size // 2
        # Pixels within the rim are left out: the border is no motion.
        images = ops.reshape(before, (-1, height, width, channels))
        planes_apart = self.per_channel or channels == 1
        axes = (1, 2) if planes_apart else (1, 2, 3)
        offset = ops.mean(images, axis=axes, keepdims=True)
        images = images - offset
        neighbours = neighbourhoods(images, size, stride=step, basis=self.basis)
        change = change[:, :, rim : height - rim : step, rim : width - rim : step]
        change = ops.transpose(change, (0, 1, 4, 2, 3))
        # All colours are samples of a shared kernel.
        planes = 1 if self.per_channel else channels
        samples = planes * neighbours.shape[1] * neighbours.shape[2]
        # A picture of ones has one coefficient, its first.
        constant = size * ops.eye(1, size * size, dtype=images.dtype)
        return (
            ops.reshape(neighbours, (-1, samples, size * size)),
            ops.reshape(change, (-1, samples, 1)),
            ops.reshape(offset, (-1, 1, 1)) * constant,
        )

    def solve(self, equations, ridge):
        """The motion part of the filters for one strength of the pull.

        Args:
            equations: What :meth:`normal_equations` returned.
            ridge: Pull towards the identity, relative to the mean power of the pixels.

        Returns:
            `(batch, frames - 1, k, k, channels or 1)`.
        """
        matrix, target, transitions = equations
        size = self.kernel_size
        coefficients = ops.squeeze(self.solve_system(matrix, target, ridge), axis=-1)
        motion = ops.matmul(coefficients, np.transpose(self.basis))
        motion = ops.reshape(motion, (-1, transitions, self.groups, size, size))
        return ops.transpose(motion, (0, 1, 3, 4, 2))

    def solve_system(self, matrix, target, ridge):
        """Solves `(A + pull) G = b` for every matrix.

        Args:
            matrix: `(batch, k * k, k * k)`.
            target: `(batch, k * k, 1)`.
            ridge: As for :meth:`solve`.

        Returns:
            `(batch, k * k, 1)`, coefficients of cosines.
        """
        taps = self.kernel_size**2
        identity = ops.eye(taps, dtype=matrix.dtype)
        power = ops.sum(matrix * identity, axis=(1, 2), keepdims=True) / taps
        # 1e-4 of full-scale power keeps a black picture solvable, too.
        matrix = matrix + ridge * (power + 1e-4) * identity
        diagonal = ops.sum(matrix * identity, axis=-1, keepdims=True)
        # The solution does not depend on the scale, nor does its gradient.
        scale = ops.stop_gradient(ops.rsqrt(diagonal))
        matrix = matrix * scale * ops.transpose(scale, (0, 2, 1))
        return scale * SOLVE[self.method](matrix, scale * target)

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
            "luminance": self.luminance,
            "per_channel": self.per_channel,
            "method": self.method,
        }


def cosine_basis(size):
    """The two-dimensional cosines (DCT-II) of a square, orthonormal.

    Args:
        size: Side of the square.

    Returns:
        A float32 array, `(size * size, size * size)`: a column for every cosine, the
        constant one first.

    Reference:
        Ahmed, Natarajan and Rao, *Discrete Cosine Transform*, IEEE Transactions on
        Computers 1974.

    Example:

    >>> cosine_basis(2)[:, 0].tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    place, frequency = np.mgrid[:size, :size]
    cosines = np.cos(np.pi * (place + 0.5) * frequency / size)
    cosines /= np.linalg.norm(cosines, axis=0)
    return np.kron(cosines, cosines).astype("float32")


def weighted_sums(neighbours, change, offset, weights=None):
    """The normal equations of the samples of a :class:`FilterSolver`.

    `A = mean(w N'N)` and `b = mean(w N'd)` with `N = neighbours + offset`. The mean
    brightness (the offset `o`) is most of `A`, and rounding it would drown the rest:
    `N'N = C'C + o'C + C'o + o'o` is summed part by part.

    Args:
        neighbours: `(batch, samples, k * k)`, C.
        change: `(batch, samples, 1)`, d.
        offset: `(batch, 1, k * k)`, o.
        weights: `(batch, samples, 1)`, w, or `None` for ones.

    Returns:
        `A (batch, k * k, k * k)` and `b (batch, k * k, 1)`.
    """
    samples = neighbours.shape[1]
    weighted = neighbours if weights is None else weights * neighbours
    weighted_change = change if weights is None else weights * change
    share = 1.0 if weights is None else ops.mean(weights, axis=1, keepdims=True)
    transposed = ops.transpose(weighted, (0, 2, 1))
    matrix = ops.matmul(transposed, neighbours) / samples
    target = ops.matmul(transposed, change) / samples
    mean = ops.mean(weighted, axis=1, keepdims=True)
    column = ops.transpose(offset, (0, 2, 1))
    # `o'C` of the mean of C; half of `o'o` on either side keeps the sum symmetric.
    cross = column * (mean + 0.5 * share * offset)
    matrix = matrix + cross + ops.transpose(cross, (0, 2, 1))
    target = target + column * ops.mean(weighted_change, axis=1, keepdims=True)
    return matrix, target
