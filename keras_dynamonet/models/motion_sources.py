"""Where the motion filters of a clip come from.

A source turns pixels and features into the motion part `G` of the T filters, twice:
that of the prediction, and that of the DMR, which the classifier sees. Sources hold
layers that belong to the network and have no weights of their own.
"""

from dataclasses import dataclass

import keras
from keras import ops

from keras_dynamonet.layers.filter_generator import (
    FilterForecaster,
    FrameFilterGenerator,
    PooledFilterGenerator,
)
from keras_dynamonet.layers.filter_solver import FilterSolver

FILTER_SOURCES = ("solved", "generated")
GENERATOR_INPUTS = ("feature", "stage1", "stage2", "stage3", "stage4")


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

    def build(self, frames, endpoints):
        self.generator.build(endpoints[self.endpoint])

    def __call__(self, frames, endpoints):
        """The motion part of prediction and DMR, `(batch, T, k, k, channels)` each.

        Args:
            frames: `(batch, T, height, width, 3)`, pixels in [0, 1].
            endpoints: Outputs of the backbone by name.
        """
        motion = self.generator(endpoints[self.endpoint])
        return motion, motion


@dataclass(frozen=True)
class SolvedMotion:
    """The best filter of every observed transition, and a forecast of the last one.

    Args:
        solver: Solves for the observed filters.
        forecaster: Continues them.
        ridge: Pull of the solver for the prediction.
        descriptor_ridge: Pull for the DMR.
        num_frames: T.
    """

    solver: FilterSolver
    forecaster: FilterForecaster
    ridge: float
    descriptor_ridge: float
    num_frames: int

    @property
    def learned_from(self):
        return self.num_frames - 1

    def build(self, frames, endpoints):
        self.forecaster.build(self.solver.compute_output_shape(frames))

    def __call__(self, frames, endpoints):
        equations = self.solver.normal_equations(frames)
        observed = self.solver.solve(equations, self.ridge)
        forecast = self.forecaster(observed)
        motion = ops.concatenate([observed, forecast], axis=1)
        # The forecast serves the prediction alone: it adds nothing the classifier does
        # not see in the observed filters, and must not be bent to its wishes.
        dmr = ops.concatenate(
            [
                self.solver.solve(equations, self.descriptor_ridge),
                ops.stop_gradient(forecast),
            ],
            axis=1,
        )
        return motion, dmr


def make_generator(endpoint, num_frames, kernel_size, channels):
    """The network that predicts T filters from an output of the backbone.

    Args:
        endpoint: Name of the output, of `GENERATOR_INPUTS`.
        num_frames: T.
        kernel_size: Side of the filters.
        channels: Channels of the filters.

    Returns:
        A layer; without a time axis in its input for `"feature"`.
    """
    generator = PooledFilterGenerator if endpoint == "feature" else FrameFilterGenerator
    return generator(
        num_frames,
        kernel_size,
        channels=channels,
        dtype="float32",
        name="filter_generator",
    )
