"""Where the motion filters of a clip come from.

A source turns pixels and features into the motion part `G` of the T filters, twice:
that of the prediction, and that of the DMR, which the classifier sees. Sources hold
layers that belong to the network; they have no weights of their own.
"""

from dataclasses import dataclass
from typing import NamedTuple

import keras
from keras import ops

from keras_dynamonet.layers.dynamic_motion_filter import (
    DynamicMotionFilter,
    split_channels,
)
from keras_dynamonet.layers.filter_generator import (
    FilterForecaster,
    FrameFilterGenerator,
    PooledFilterGenerator,
)
from keras_dynamonet.layers.filter_normalization import FilterNormalization
from keras_dynamonet.layers.filter_solver import FilterSolver
from keras_dynamonet.layers.frame_maps import FrameMaps
from keras_dynamonet.layers.segment_solver import SegmentSolver, neighbourhood_mean

GENERATOR_INPUTS = ("feature", "stage1", "stage2", "stage3", "stage4")


class Motion(NamedTuple):
    """The motion part of the filters of a clip.

    Args:
        prediction: That of the filters which predict frames, `(batch, T, k, k, n)`; n
            is the number of colours or segments that have kernels of their own.
        descriptor: That of the DMR, of the same shape.
        masks: Share of each segment in each pixel of the next frame, `(batch, T,
            height, width, n)`, or `None` for one segment.
    """

    prediction: object
    descriptor: object
    masks: object = None


@dataclass(frozen=True)
class GeneratedMotion:
    """A network predicts all filters from the backbone: the form of the paper.

    Args:
        generator: The network.
        endpoint: Name of the backbone's output that it reads.
    """

    generator: keras.layers.Layer
    endpoint: str

    learned_from = 0
    """The first filter that weights stand behind."""

    @property
    def layers(self):
        """The layers that the network must track."""
        return [self.generator]

    def build(self, frames, endpoints):
        """Builds the layers for clips and outputs of the backbone of these shapes."""
        self.generator.build(endpoints[self.endpoint])

    def __call__(self, frames, endpoints):
        """The motion of clips.

        Args:
            frames: `(batch, T, height, width, 3)`, pixels in [0, 1].
            endpoints: Outputs of the backbone by name.
        """
        motion = self.generator(endpoints[self.endpoint])
        return Motion(motion, motion)


@dataclass(frozen=True)
class SolvedMotion:
    """The best filter of every observed transition, and a forecast of the last one.

    Args:
        solver: Solves for the observed filters.
        forecaster: Continues them.
        descriptor_ridge: Pull of the solver for the DMR.
        num_frames: T.
        maps: Layer from frames to learned maps to solve on, or `None` for the pixels.
    """

    solver: FilterSolver
    forecaster: FilterForecaster
    descriptor_ridge: float
    num_frames: int
    maps: keras.layers.Layer | None = None

    @property
    def learned_from(self):
        """The first filter that weights stand behind."""
        return 0 if self.maps else self.num_frames - 1

    @property
    def layers(self):
        """The layers that the network must track."""
        return [self.forecaster] if self.maps is None else [self.forecaster, self.maps]

    def build(self, frames, endpoints):
        """Builds the layers for clips and outputs of the backbone of these shapes."""
        if self.maps is not None:
            self.maps.build(frames)
        self.forecaster.build(self.solver.compute_output_shape(frames))

    def __call__(self, frames, endpoints):
        """The motion of clips, see :class:`GeneratedMotion`."""
        seen = frames if self.maps is None else self.maps(frames)
        equations = self.solver.normal_equations(seen)
        observed = self.solver.solve(equations, self.solver.ridge)
        forecast = self.forecaster(observed)
        # The forecast serves the prediction alone: it adds nothing the classifier does
        # not see in the observed filters, and must not be bent to its wishes.
        described = [
            self.solver.solve(equations, self.descriptor_ridge),
            ops.stop_gradient(forecast),
        ]
        return Motion(
            ops.concatenate([observed, forecast], axis=1),
            ops.concatenate(described, axis=1),
        )


@dataclass(frozen=True)
class RefinedMotion:
    """Generated filters that start from the solved ones: their sum.

    Args:
        solved: Where they start.
        generated: What the network adds, at first nothing.
    """

    solved: SolvedMotion
    generated: GeneratedMotion

    learned_from = 0
    """The first filter that weights stand behind."""

    @property
    def layers(self):
        """The layers that the network must track."""
        return [*self.solved.layers, *self.generated.layers]

    def build(self, frames, endpoints):
        """Builds the layers for clips and outputs of the backbone of these shapes."""
        self.solved.build(frames, endpoints)
        self.generated.build(frames, endpoints)

    def __call__(self, frames, endpoints):
        """The motion of clips, see :class:`GeneratedMotion`."""
        start = self.solved(frames, endpoints)
        change = self.generated(frames, endpoints)
        return Motion(
            start.prediction + change.prediction, start.descriptor + change.descriptor
        )


@dataclass(frozen=True)
class SegmentedMotion:
    """Solved filters of several segments, and a forecast that moves each on.

    Args:
        solver: Solves for filters and masks.
        forecaster: Continues the filters of one segment.
        descriptor_ridge: Pull of the solver for the DMR.
        num_frames: T.
        normalization: Turns the motion part into filters.
        mover: Moves the masks by filters.
    """

    solver: SegmentSolver
    forecaster: FilterForecaster
    descriptor_ridge: float
    num_frames: int
    normalization: FilterNormalization
    mover: DynamicMotionFilter

    @property
    def learned_from(self):
        """The first filter that weights stand behind."""
        return self.num_frames - 1

    @property
    def layers(self):
        """The layers that the network must track."""
        return [self.forecaster]

    def build(self, frames, endpoints):
        """Builds the layers for clips and outputs of the backbone of these shapes."""
        filters = self.solver.compute_output_shape(frames)
        self.forecaster.build((*filters[:-1], 1))

    def __call__(self, frames, endpoints):
        """The motion of clips, see :class:`GeneratedMotion`."""
        equations, masks = self.solver.segment(frames)
        observed = self.solver.solve(equations, self.solver.ridge)
        # One law of motion for all segments.
        forecast = ops.concatenate(
            [self.forecaster(part) for part in split_channels(observed)], axis=-1
        )
        described = [
            self.solver.solve(equations, self.descriptor_ridge),
            ops.stop_gradient(forecast),
        ]
        return Motion(
            ops.concatenate([observed, forecast], axis=1),
            ops.concatenate(described, axis=1),
            ops.concatenate([masks, self._move(masks[:, -1:], forecast)], axis=1),
        )

    def _move(self, masks, forecast):
        """Masks of the next transition: each segment takes its own along."""
        # Softer than what was seen: where a segment ends is known to a pixel or two.
        images = neighbourhood_mean(ops.reshape(masks, (-1, *masks.shape[2:])))
        masks = ops.reshape(images, (-1, *masks.shape[1:]))
        parts = masks, self.normalization(forecast)
        pairs = zip(*(split_channels(part) for part in parts), strict=True)
        moved = [ops.relu(self.mover([mask, filters])) for mask, filters in pairs]
        moved = ops.concatenate(moved, axis=-1) + 1e-3
        return moved / ops.sum(moved, axis=-1, keepdims=True)


def _generated(network):
    generator = (
        PooledFilterGenerator
        if network.generator_input == "feature"
        else FrameFilterGenerator
    )
    layer = generator(
        network.num_frames,
        network.kernel_size,
        channels=3 if network.per_channel else 1,
        dtype="float32",
        name="filter_generator",
    )
    return GeneratedMotion(layer, network.generator_input)


def _solved(network):
    forecaster = FilterForecaster(
        network.kernel_size,
        channels=3 if network.per_channel else 1,
        dtype="float32",
        name="filter_forecaster",
    )
    shared = (
        network.solver,
        forecaster,
        network.descriptor_ridge,
        network.num_frames,
    )
    if network.segments > 1:
        return SegmentedMotion(
            *shared, network.filter_normalization, network.frame_filter
        )
    maps = None
    if network.solver_maps:
        maps = FrameMaps(network.solver_maps, dtype="float32", name="frame_maps")
    return SolvedMotion(*shared, maps)


def _refined(network):
    return RefinedMotion(_solved(network), _generated(network))


FILTER_SOURCES = {"solved": _solved, "generated": _generated, "refined": _refined}
"""By name, what makes a source from the options and layers of a network."""


def make_solver(network):
    """The solver of the best filters for the options of a network."""
    options = {"ridge": network.ridge, "name": "filter_solver"}
    if network.segments > 1:
        return SegmentSolver(network.kernel_size, segments=network.segments, **options)
    return FilterSolver(
        network.kernel_size,
        per_channel=network.per_channel,
        # Each map has something of its own to say.
        luminance=not network.solver_maps,
        **options,
    )
