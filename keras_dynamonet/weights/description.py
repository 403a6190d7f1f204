"""What weights do not show: kept beside them in the files that this library writes."""

import json

from keras_dynamonet.models.resnext3d import ResNeXt3D
from keras_dynamonet.weights.checkpoint import Checkpoint
from keras_dynamonet.weights.layout import torch_shapes
from keras_dynamonet.weights.recognition import MAX_BLOCKS, Architecture, naming_of
from keras_dynamonet.weights.stored_tensor import CheckpointError
from keras_dynamonet.weights.zoo import ARCHITECTURES

METADATA_KEY = "keras_dynamonet"
"""Of the metadata of a safetensors file."""

DETERMINED = tuple(ARCHITECTURES["resnext-101"])
"""Arguments of `ResNeXt3D` that weights determine."""

BESIDE = ("num_frames", "size", "mean", "std", "class_names", "fps")
"""Its arguments that they do not."""


def describe(model: ResNeXt3D) -> str:
    """The arguments of a network as JSON, for :func:`own_description` to read."""
    config = model.get_config()
    return json.dumps({name: config[name] for name in (*DETERMINED, *BESIDE)})


def own_description(checkpoint: Checkpoint) -> dict:
    """The arguments that :func:`describe` wrote, or nothing if others wrote the file.

    Raises:
        CheckpointError: If they are no arguments of a network.
    """
    text = checkpoint.facts.get(METADATA_KEY)
    if text is None:
        return {}
    try:
        config = json.loads(text)
        _check(config)
        naming = naming_of(checkpoint.tensors)
        everything = {**config, "num_classes": None}
        torch_shapes(everything, naming)
        Architecture(everything, naming).description  # noqa: B018
    except CheckpointError:
        raise
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise CheckpointError("is damaged: its description is broken") from error
    return config


def _check(config):
    if set(config) != {*DETERMINED, *BESIDE}:
        raise ValueError("other settings than those of a network")
    sizes = (config["num_frames"], *config["size"])
    names = config["class_names"]
    if not all(1 <= count <= MAX_BLOCKS for count in config["blocks"]):
        raise ValueError("an impossible number of blocks")
    if not all(type(size) is int and 1 <= size <= 1 << 16 for size in sizes):
        raise ValueError("an impossible size of clips")
    if names is not None and not all(isinstance(name, str) for name in names):
        raise ValueError("a name of a class that is no text")
