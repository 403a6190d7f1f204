"""Several filters for each transition, and which of them moves which pixel."""

import keras
from keras import ops

from keras_dynamonet.layers.borders import pad_border
from keras_dynamonet.layers.filter_solver import FilterSolver, weighted_sums

_WINDOW = 3
# Pixels of a window that tell independently which filter moved them: neighbouring
# samples are alike.
_EVIDENCE = 4.0
# Of the squared pixel range; far below 8-bit rounding.
_SMALLEST_ERROR = 1e-7


def neighbourhood_mean(images):
    """The mean of the 3x3 pixels around each, `(images, height, width, channels)`.

    Example:

    >>> spot = ops.reshape(ops.one_hot(4, 9), (1, 3, 3, 1))
    >>> round(float(neighbourhood_mean(spot)[0, 0, 0, 0]), 4)
    0.1111
    """
    images = pad_border(images, _WINDOW // 2, "replicate")
    return ops.average_pool(
        images, _WINDOW, strides=1, padding="valid", data_format="channels_last"
    )


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class SegmentSolver(FilterSolver):
    """Solves for the filters of M segments that move differently.

    One filter for the whole picture is an average over all that moves: with a person
    before a still background, over little person and much background. This layer fits
    a mixture of M linear predictors by expectation and maximisation: starting with
    `0, 1, ..., M - 1` times the motion of the whole picture it gives every pixel to the
    filters that predict its neighbourhood well,

    `w_m(p) = softmax over m of -2 e_m(p) / mean(min_m e_m)`,

    where `e_m` is the squared error of filter m, averaged over 3x3 samples, and solves
    each filter again with these weights, some rounds. Nothing is learnt, and gradients
    pass through the filters, not through the weights.

    Args:
        kernel_size: Odd side k of the filters.
        segments: Number of segments M.
        rounds: How often weights and filters are computed in turn.
        ridge: As for :class:`FilterSolver`.
        sample_stride: As for :class:`FilterSolver`; pixels between the sampled ones
            take the share of a neighbour. 2 costs a quarter, and segments gain half as
            much over one filter.
        method: As for :class:`FilterSolver`.

    Input shape:
        `(batch, frames, height, width, channels)`, pixels in [0, 1].

    Output shape:
        `(batch, frames - 1, k, k, segments)`, the motion part of the filters.

    Raises:
        ValueError: If there are fewer than two segments or no round, for `per_channel`
            and `luminance`, or for what :class:`FilterSolver` refuses.

    Reference:
        Jordan and Jacobs, *Hierarchical Mixtures of Experts and the EM Algorithm*,
        Neural Computation 1994.

    Example:

    >>> SegmentSolver(5, segments=2)(keras.random.uniform((2, 4, 16, 16, 3))).shape
    TensorShape([2, 3, 5, 5, 2])
    """

    def __init__(
        self,
        kernel_size=5,
        *,
        segments=2,
        rounds=3,
        ridge=5e-4,
        sample_stride=1,
        method="cholesky",
        **kwargs,
    ):
        for name in ("per_channel", "luminance"):
            if name in kwargs:
                raise ValueError(
                    f"`{name}` is not for segments: their filters are solved from "
                    f"the brightness. Received: {name}={kwargs[name]}"
                )
        super().__init__(
            kernel_size,
            ridge=ridge,
            sample_stride=sample_stride,
            method=method,
            **kwargs,
        )
        if segments < 2 or rounds < 1:
            raise ValueError(
                "There must be at least 2 `segments` and 1 of the `rounds`. "
                f"Received: segments={segments}, rounds={rounds}"
            )
        self.segments = segments
        self.rounds = rounds

    @property
    def sums_per_transition(self):
        return 1 + self.rounds * self.segments

    def build(self, input_shape):
        super().build(input_shape)
        self.groups = self.segments

    def normal_equations(self, frames):
        return self.segment(frames)[0]

    def segment(self, frames):
        """The normal equations of all segments, and their shares of every pixel.

        Args:
            frames: `(batch, frames, height, width, channels)`, pixels in [0, 1].

        Returns:
            The equations for :meth:`solve`, and the shares, `(batch, frames - 1,
            height, width, segments)`, in the places of the later frame; they add up to
            1 over the segments.
        """
        _, count, height, width, _ = frames.shape
        samples = self.samples(frames)
        grid = [
            len(range(0, n - self.kernel_size + 1, self.sample_stride))
            for n in (height, width)
        ]
        motion = self._solve_each(*weighted_sums(*samples))  # (pairs, k * k, 1)
        motion = motion * ops.arange(self.segments, dtype=motion.dtype)
        for _ in range(self.rounds):
            weights = self._weights(samples, motion, grid)
            sums = [
                weighted_sums(*samples, ops.reshape(part, (-1, grid[0] * grid[1], 1)))
                for part in ops.unstack(weights, self.segments, axis=-1)
            ]
            motion = ops.concatenate([self._solve_each(*pair) for pair in sums], -1)
        matrix, target = (
            ops.reshape(ops.stack(parts, axis=1), (-1, *parts[0].shape[1:]))
            for parts in zip(*sums, strict=True)
        )
        shares = ops.reshape(
            self._to_pixels(weights, height, width),
            (-1, count - 1, height, width, self.segments),
        )
        return (matrix, target, count - 1), ops.stop_gradient(shares)

    def _solve_each(self, matrix, target):
        return self.solve_system(matrix, target, self.ridge)

    def _weights(self, samples, motion, grid):
        """Shares of the segments at the sampled pixels, `(pairs, rows, columns, M)`."""
        neighbours, change, offset = samples
        predicted = ops.matmul(neighbours, motion)
        predicted = predicted + ops.matmul(offset, motion)
        errors = ops.square(change - predicted)
        errors = ops.reshape(errors, (-1, *grid, self.segments))
        errors = neighbourhood_mean(errors)
        least = ops.min(errors, axis=-1, keepdims=True)
        noise = ops.mean(least, axis=(1, 2), keepdims=True) + _SMALLEST_ERROR
        # `errors - least` instead of `errors`: the same shares, no large exponents.
        shares = ops.softmax(-0.5 * _EVIDENCE * (errors - least) / noise, axis=-1)
        return ops.stop_gradient(shares)

    def _to_pixels(self, weights, height, width):
        """Every pixel takes the share of the sample at or before it."""
        rim, step = self.kernel_size // 2, self.sample_stride
        for axis, size in ((1, height), (2, width)):
            weights = ops.repeat(weights, step, axis=axis)
            place = ops.arange(size) - rim
            last = weights.shape[axis] - 1
            weights = ops.take(weights, ops.clip(place, 0, last), axis=axis)
        return weights

    def compute_output_shape(self, input_shape):
        shape = super().compute_output_shape(input_shape)
        return (*shape[:-1], self.segments)

    def get_config(self):
        config = super().get_config()
        for name in ("luminance", "per_channel"):
            del config[name]
        return {**config, "segments": self.segments, "rounds": self.rounds}
