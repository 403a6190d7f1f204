"""How PyTorch's video networks name their tensors, beside the units of this library.

Two ways of naming: that of 3D-ResNets (`layer1.0.conv1.weight`) and that of torchvision
(`layer1.0.conv1.0.weight`). Both list the units in the order of the network, as
:func:`keras_units` does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_dynamonet.layers.conv_norm import ConvNorm
from keras_dynamonet.layers.residual_blocks import BasicBlock, BottleneckBlock
from keras_dynamonet.models.resnext3d import STEMS, ResNeXt3D, middle_channels

# For each place: names of the convolution and of its normalisation. `{}` counts from 1.
NAMINGS = {
    "3d-resnets": {
        "stem": ("conv1", "bn1"),
        "stem_space": ("conv1_s", "bn1_s"),
        "stem_time": ("conv1_t", "bn1_t"),
        "whole": ("conv{}", "bn{}"),
        "space": ("conv{}_s", "bn{}_s"),
        "time": ("conv{}_t", "bn{}_t"),
    },
    "torchvision": {
        "stem": ("stem.0", "stem.1"),
        "stem_space": ("stem.0", "stem.1"),
        "stem_time": ("stem.3", "stem.4"),
        "whole": ("conv{}.0", "conv{}.1"),
        "space": ("conv{}.0.0", "conv{}.0.1"),
        "time": ("conv{}.0.3", "conv{}.1"),
    },
}
PROJECTION = ("downsample.0", "downsample.1")
HEAD = "fc"

NORM_TENSORS = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


@dataclass(frozen=True)
class TorchUnit:
    """A convolution and the normalisation after it; one of them may be missing.

    Args:
        conv: Name of the convolution.
        norm: Name of the normalisation.
        shape: Of the kernel, `(filters, channels / groups, frames, height, width)`, or
            `(channels,)` of a normalisation alone.
    """

    conv: str | None
    norm: str | None
    shape: tuple[int, ...]

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the tensors."""
        shapes = {}
        if self.conv is not None:
            shapes[f"{self.conv}.weight"] = self.shape
        if self.norm is not None:
            for name in NORM_TENSORS:
                shapes[f"{self.norm}.{name}"] = self.shape[:1]
        return shapes


def torch_units(config: Mapping[str, Any], naming: str) -> Iterator[TorchUnit]:
    """The units of a network in PyTorch.

    Args:
        config: Arguments of :class:`ResNeXt3D`, all of them.
        naming: `"3d-resnets"` or `"torchvision"`.
    """
    names = NAMINGS[naming]
    stem, channels = STEMS[config["stem"]], config["stem_width"]
    frames, height, width = stem.kernel_size
    if stem.middle is None:
        yield TorchUnit(*names["stem"], (channels, 3, frames, height, width))
    else:
        middle = stem.middle
        yield TorchUnit(*names["stem_space"], (middle, 3, 1, height, width))
        yield TorchUnit(*names["stem_time"], (channels, middle, frames, 1, 1))
    for stage, count in enumerate(config["blocks"], start=1):
        for index in range(count):
            prefix = f"layer{stage}.{index}."
            for unit in _block_units(config, names, stage, index, channels):
                yield TorchUnit(
                    unit.conv and prefix + unit.conv,
                    unit.norm and prefix + unit.norm,
                    unit.shape,
                )
            channels = config["widths"][stage - 1] * config["expansion"]


def torch_shapes(config: Mapping[str, Any], naming: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors of a network in PyTorch, with those of its head.

    Args:
        config: Arguments of :class:`ResNeXt3D`, all of them.
        naming: `"3d-resnets"` or `"torchvision"`.
    """
    shapes = {}
    for unit in torch_units(config, naming):
        shapes.update(unit.tensors())
    classes = config["num_classes"]
    if classes is not None:
        shapes[f"{HEAD}.weight"] = (classes, config["widths"][-1] * config["expansion"])
        shapes[f"{HEAD}.bias"] = (classes,)
    return shapes


def keras_variables(model: ResNeXt3D, naming: str) -> dict[str, keras.Variable]:
    """The variable of each tensor of PyTorch, in the order of :func:`torch_shapes`."""
    variables = {}
    units = torch_units(model.get_config(), naming)
    for unit, (conv, norm) in zip(units, keras_units(model), strict=True):
        if unit.conv is not None:
            variables[f"{unit.conv}.weight"] = conv.kernel
        if unit.norm is not None:
            for name, attribute in NORM_TENSORS.items():
                variables[f"{unit.norm}.{name}"] = getattr(norm, attribute)
    if model.num_classes is not None:
        head = model.get_layer("action")
        variables[f"{HEAD}.weight"] = head.kernel
        variables[f"{HEAD}.bias"] = head.bias
    return variables


def keras_units(model: ResNeXt3D) -> Iterator[tuple]:
    """Convolution and normalisation of each unit; one of them may be `None`."""
    for layer in model.layers:
        if isinstance(layer, ConvNorm):
            yield layer.conv, layer.norm
        elif isinstance(layer, BasicBlock | BottleneckBlock):
            if layer.norm is not None:
                yield None, layer.norm
            for unit in (*layer.convolutions, layer.projection):
                if unit is not None:
                    yield unit.conv, unit.norm


def to_keras(values: np.ndarray) -> np.ndarray:
    """A tensor of PyTorch in Keras's order of axes, float32.

    Kernels `(filters, channels, frames, height, width)` become `(frames, height, width,
    channels, filters)`, matrices `(outputs, inputs)` their transpose.

    >>> to_keras(np.zeros((8, 4, 1, 3, 5))).shape
    (1, 3, 5, 4, 8)
    """
    axes = {5: (2, 3, 4, 1, 0), 2: (1, 0)}.get(values.ndim)
    return values.transpose(axes).astype("float32")


def to_torch(values: np.ndarray) -> np.ndarray:
    """The inverse of :func:`to_keras`.

    >>> to_torch(np.zeros((1, 3, 5, 4, 8))).shape
    (8, 4, 1, 3, 5)
    """
    axes = {5: (4, 3, 0, 1, 2), 2: (1, 0)}.get(values.ndim)
    return values.transpose(axes).astype("float32")


def _block_units(config, names, stage, index, channels):
    width, groups = config["widths"][stage - 1], config["cardinality"]
    filters = width * config["expansion"]
    kind = config["convolution"][stage - 1]
    middles = middle_channels(channels, width, config)

    def grouped(number, middle, inputs):
        if kind == "(2+1)d":
            yield "space", number, (middle, inputs // groups, 1, 3, 3)
            yield "time", number, (width, middle // groups, 3, 1, 1)
        else:
            frames = 1 if kind == "2d" else 3
            yield "whole", number, (width, inputs // groups, frames, 3, 3)

    if config["block"] == "bottleneck":
        parts = [
            ("whole", 1, (width, channels, 1, 1, 1)),
            *grouped(2, middles[0], width),
            ("whole", 3, (filters, width, 1, 1, 1)),
        ]
    else:
        parts = [*grouped(1, middles[0], channels), *grouped(2, middles[1], width)]
    units = [
        TorchUnit(*(name.format(number) for name in names[part]), shape)
        for part, number, shape in parts
    ]
    if config["pre_activation"]:
        # Each normalisation stands before the convolution of its number.
        norms = [unit.norm for unit in units[1:]] + [None]
        yield TorchUnit(None, units[0].norm, (channels,))
        units = [
            TorchUnit(unit.conv, norm, unit.shape)
            for unit, norm in zip(units, norms, strict=True)
        ]
    yield from units
    strides = config["temporal_strides"][stage - 1], 1 if stage == 1 else 2
    changes = channels != filters or strides != (1, 1)
    if index == 0 and changes and config["shortcut"] == "B":
        yield TorchUnit(*PROJECTION, (filters, channels, 1, 1, 1))
