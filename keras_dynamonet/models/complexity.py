"""Weights and arithmetic of a network, counted from the network itself."""

from dataclasses import dataclass
from math import prod

import keras

from keras_dynamonet.layers.dynamic_motion_filter import DynamicMotionFilter
from keras_dynamonet.layers.filter_solver import FilterSolver
from keras_dynamonet.models.dynamonet import EVIDENCE, DynamoNet


@dataclass(frozen=True)
class LayerCost:
    """One layer, e.g. a residual block.

    Args:
        name: Of the layer.
        kind: Its class.
        parameters: Trainable numbers.
        macs: Products, each with a sum, for one clip.
    """

    name: str
    kind: str
    parameters: int
    macs: int


def layer_costs(model: keras.Model) -> list[LayerCost]:
    """Parameters and multiply-accumulate operations of each layer, for one clip.

    Convolutions and matrices count, as is usual, the filtering of the frames, and the
    correlations that solved filters come from; normalisations, activations, pools and
    sums do not.

    Args:
        model: A :class:`ResNeXt3D` or a :class:`DynamoNet`.

    Example:

    >>> from keras_dynamonet.models.resnext3d import ResNeXt3D
    >>> costs = layer_costs(ResNeXt3D(101, num_classes=400))
    >>> sum(cost.parameters for cost in costs)
    48340816
    >>> round(sum(cost.macs for cost in costs) / 1e9, 2)
    9.57
    """
    layers, idle = list(model.layers), []
    if isinstance(model, DynamoNet):
        at = layers.index(model.backbone)
        layers[at : at + 1] = model.backbone.layers
        idle = list(_idle_layers(model))
    costs = []
    for layer in layers:
        parameters = sum(prod(weight.shape) for weight in layer.trainable_weights)
        parts = layer._flatten_layers()
        macs = 0 if layer in idle else sum(_macs(part) for part in parts)
        if parameters or macs:
            costs.append(LayerCost(layer.name, type(layer).__name__, parameters, macs))
    return costs


def _idle_layers(model):
    """Layers of a DynamoNet that compute nothing for its outputs."""
    if model.filter_source == "generated":
        yield model.solver  # that of the teacher
    if "filters" not in EVIDENCE[model.evidence]:
        yield model.motion_descriptor


def _macs(layer):
    if isinstance(layer, DynamicMotionFilter | FilterSolver):
        shapes = layer.get_build_config()["input_shape"]
        filtering = isinstance(layer, DynamicMotionFilter)
        return _filter_macs(*shapes) if filtering else _solver_macs(layer, shapes)
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    # Every weight of a kernel is used once at each position of the output.
    outputs = layer.compute_output_shape(layer.get_build_config()["input_shape"])
    return prod(outputs[1:-1]) * prod(kernel.shape)


def _filter_macs(frames, filters, masks=(1,)):
    return prod(frames[1:]) * prod(filters[2:4]) * masks[-1]


def _solver_macs(layer, shape):
    """Correlation of each sampled neighbourhood with itself and with the change."""
    _, frames, *sizes, channels = shape
    planes = 1 if layer.luminance else channels
    rim = layer.kernel_size // 2
    positions = prod(len(range(rim, n - rim, layer.sample_stride)) for n in sizes)
    taps = layer.kernel_size**2
    sums = positions * planes * taps * (taps + 1)
    return (frames - 1) * layer.sums_per_transition * sums
