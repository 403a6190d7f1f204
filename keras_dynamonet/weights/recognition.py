"""Which network a checkpoint belongs to, from the shapes of its tensors alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from keras_dynamonet.models.resnext3d import DEPTHS, STEMS
from keras_dynamonet.weights.layout import HEAD, NAMINGS, PROJECTION, torch_shapes
from keras_dynamonet.weights.stored_tensor import CheckpointError

MAX_BLOCKS = 100

# A max pool has no weights, so that the stem follows from who named the tensors.
_STEMS_OF = {
    "3d-resnets": ("7x7x7", "(2+1)d"),
    "torchvision": ("3x7x7", "small (2+1)d"),
}

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Architecture:
    """A network and the names of its tensors in PyTorch.

    Args:
        config: Arguments of :class:`~keras_dynamonet.ResNeXt3D` that the weights
            determine.
        naming: `"3d-resnets"` or `"torchvision"`.
    """

    config: dict[str, Any]
    naming: str

    @property
    def description(self) -> str:
        """The network in words, e.g. `"ResNeXt-101, cardinality 32, ..."`."""
        config = self.config
        kinds = set(config["convolution"])
        family = "ResNeXt" if config["cardinality"] > 1 else "ResNet"
        if kinds == {"(2+1)d"}:
            family = "R(2+1)D"
        elif kinds == {"2d", "3d"}:
            family = "MC" + str(config["convolution"].index("2d") + 2)
        layers = 2 + sum(config["blocks"]) * (2 if config["block"] == "basic" else 3)
        parts = [f"{family}-{layers}"]
        if config["pre_activation"]:
            parts.append("pre-activation")
        if config["cardinality"] > 1:
            parts.append(f"cardinality {config['cardinality']}")
        widths = "/".join(map(str, config["widths"]))
        parts += [
            f"widths {widths}",
            f"shortcut {config['shortcut']}",
            f"stem {config['stem']} of width {config['stem_width']}",
            f"{config['num_classes'] or 'no'} classes",
            f"names of {self.naming}",
        ]
        return ", ".join(parts)


def recognise(shapes: Shapes) -> Architecture:
    """Recognises depth, widths, cardinality, kind of blocks, shortcut and stem.

    Args:
        shapes: Shape of each tensor by its name in PyTorch.

    Returns:
        The architecture. Its tensors are not compared with the shapes one by one.

    Raises:
        CheckpointError: If it is none of the networks that this library builds.

    Example:

    >>> recognise({"foo.weight": (3, 3)})
    Traceback (most recent call last):
    ...
    keras_dynamonet.weights.stored_tensor.CheckpointError: holds none of the networks...
    """
    naming = naming_of(shapes)
    if not all(map(all, shapes.values())):
        raise CheckpointError("is damaged: a tensor is empty")
    try:
        config = _config(shapes, naming)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"lacks tensors of a network, or has them in unknown shapes ({error})"
        ) from error
    architecture = Architecture(config, naming)
    needed = sum(prod(shape) for shape in torch_shapes(config, naming).values())
    held = sum(prod(shape) for shape in shapes.values())
    if needed > 2 * held:
        raise CheckpointError(
            f"holds {held:,} numbers, but looks like {architecture.description}, "
            f"which has {needed:,}"
        )
    return architecture


def naming_of(shapes: Shapes) -> str:
    """Whose names the tensors have.

    Raises:
        CheckpointError: If nobody's.
    """
    for naming, names in NAMINGS.items():
        if any(f"{names[stem][0]}.weight" in shapes for stem in ("stem", "stem_space")):
            return naming
    examples = ", ".join(sorted(shapes)[:3]) or "nothing"
    raise CheckpointError(
        f"holds none of the networks known here; its tensors are {examples[:120]}, ..."
    )


def _config(shapes, naming):
    names = NAMINGS[naming]
    blocks = tuple(_count_blocks(shapes, stage) for stage in range(1, 5))

    def conv(stage, number, part="whole", index=0):
        name = names[part][0].format(number)
        return shapes[f"layer{stage}.{index}.{name}.weight"]

    bottleneck = f"layer1.0.{names['whole'][0].format(3)}.weight" in shapes
    grouped = 2 if bottleneck else 1  # the first 3x3x3 convolution of a block
    factorised = f"layer1.0.{names['time'][0].format(grouped)}.weight" in shapes
    part = "time" if factorised else "whole"
    widths = tuple(conv(stage, grouped, part)[0] for stage in range(1, 5))
    expansion, cardinality = 1, 1
    if bottleneck:
        expansion = conv(1, 3)[0] // widths[0]
        if not factorised:
            cardinality = widths[0] // conv(1, 2)[1]
    if factorised:
        convolution = ("(2+1)d",) * 4
    else:
        convolution = tuple(
            "2d" if conv(stage, grouped)[2] == 1 else "3d" for stage in range(1, 5)
        )
    stem, stem_width = _stem(shapes, naming)
    depth, block = _depth(blocks, bottleneck), "bottleneck" if bottleneck else "basic"
    return {
        "depth": depth,
        "cardinality": cardinality,
        "widths": widths,
        "expansion": expansion,
        "blocks": blocks,
        "block": block,
        "stem": stem,
        "stem_width": stem_width,
        "convolution": convolution,
        "shared_middle": factorised
        and not bottleneck
        and conv(2, 1, "space")[0] == conv(2, 2, "space")[0],
        "pre_activation": _is_pre_activated(shapes, names, bottleneck, widths),
        # A stage of 2D convolutions keeps every frame.
        "temporal_strides": tuple(
            1 if kind == "2d" or stage == 1 else 2
            for stage, kind in enumerate(convolution, start=1)
        ),
        "shortcut": "B" if f"layer2.0.{PROJECTION[0]}.weight" in shapes else "A",
        "num_classes": shapes.get(f"{HEAD}.weight", (None,))[0],
    }


def _count_blocks(shapes, stage):
    start = f"layer{stage}."
    inside = [name[len(start) :] for name in shapes if name.startswith(start)]
    found = {name.partition(".")[0] for name in inside}
    if not 1 <= len(found) <= MAX_BLOCKS or found != set(map(str, range(len(found)))):
        raise CheckpointError(
            f"has no blocks layer{stage}.0, layer{stage}.1, ... as the networks known "
            "here have"
        )
    return len(found)


def _stem(shapes, naming):
    names = NAMINGS[naming]
    for name in _STEMS_OF[naming]:
        stem = STEMS[name]
        frames, height, width = stem.kernel_size
        if stem.middle is None:
            shape = shapes.get(f"{names['stem'][0]}.weight", ())
            if shape[1:] == (3, frames, height, width):
                return name, shape[0]
        else:
            space = shapes.get(f"{names['stem_space'][0]}.weight")
            time = shapes.get(f"{names['stem_time'][0]}.weight", ())
            fits = space == (stem.middle, 3, 1, height, width)
            if fits and time[1:] == (stem.middle, frames, 1, 1):
                return name, time[0]
    raise CheckpointError("begins with a convolution that no network known here has")


def _is_pre_activated(shapes, names, bottleneck, widths):
    """Whether a normalisation has the size of what comes into its convolution."""
    stage, number = (1, 3) if bottleneck else (2, 1)
    norm = names["whole"][1].format(number)
    size = shapes.get(f"layer{stage}.0.{norm}.weight")
    return size == (widths[0],) and (bottleneck or widths[0] != widths[1])


def _depth(blocks, bottleneck):
    kind = "bottleneck" if bottleneck else "basic"
    for depth, known in DEPTHS.items():
        if known == (kind, blocks):
            return depth
    return 10  # any: the number and kind of the blocks are given, too
