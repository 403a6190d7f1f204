"""From a PyTorch checkpoint to a Keras model that computes the same numbers."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_dynamonet.errors import UserError
from keras_dynamonet.models.resnext3d import ResNeXt3D
from keras_dynamonet.weights.checkpoint import read_checkpoint
from keras_dynamonet.weights.description import DETERMINED, own_description
from keras_dynamonet.weights.layout import (
    HEAD,
    keras_variables,
    to_keras,
    torch_shapes,
)
from keras_dynamonet.weights.pixels import PIXELS, choose_pixels
from keras_dynamonet.weights.recognition import Architecture, naming_of, recognise
from keras_dynamonet.weights.report import TensorReport, explain
from keras_dynamonet.weights.stored_tensor import CheckpointError, printable
from keras_dynamonet.weights.zoo import ARCHITECTURES

logger = logging.getLogger(__name__)

MAX_PROBLEMS_SHOWN = 4


@dataclass(frozen=True)
class ImportedModel:
    """A model from a checkpoint, and how it came about.

    Args:
        model: The network, with the classifier of the checkpoint.
        report: What became of each tensor.
        architecture: The network as it was recognised or asked for.
        pixels: The convention of its pixels, a key of `PIXELS` or `"stored"`.
        remarks: What was concluded from the file, one sentence each.
    """

    model: ResNeXt3D
    report: TensorReport
    architecture: Architecture
    pixels: str
    remarks: tuple[str, ...]


def load_torch_checkpoint(path: str | Path, **kwargs) -> ResNeXt3D:
    """Loads a published PyTorch checkpoint as a Keras model.

    Args:
        path: The checkpoint.
        **kwargs: As :func:`import_checkpoint`.

    Returns:
        A network that gives the logits of the original for uint8 clips.

    Raises:
        UserError: As :func:`import_checkpoint`.

    Example:

    ```python
    classifier = load_torch_checkpoint("resnext-101-kinetics.pth")
    model = DynamoNet.from_backbone(classifier, num_classes=101)
    ```
    """
    return import_checkpoint(path, **kwargs).model


def import_checkpoint(
    path: str | Path,
    *,
    arch: str | None = None,
    num_frames: int | None = None,
    size: int | None = None,
    pixels: str = "auto",
    class_names: Sequence[str] | None = None,
    replace_head: int | None = None,
) -> ImportedModel:
    """Loads a published PyTorch checkpoint and reports on each of its tensors.

    Args:
        path: A checkpoint of 3D-ResNets or torchvision, in PyTorch's zip or old format,
            or a safetensors file with the same names.
        arch: Architecture, a key of `ARCHITECTURES`. Default: recognised.
        num_frames: Frames of a clip; the weights fit any number. Default: 16.
        size: Height and width of the frames in pixels. Default: 112.
        pixels: How the network wants its pixels: a key of `PIXELS`, or `"auto"`.
        class_names: Names of the classes, in the order of the classifier.
        replace_head: Number of classes of a fresh classifier instead of the stored one.

    Returns:
        The model and how it came about.

    Raises:
        UserError: If the file cannot be read, is of no known architecture, has a tensor
            that nothing explains, or its classes are not those asked for.
    """
    checkpoint = read_checkpoint(path)
    try:
        return _import(
            checkpoint, arch, num_frames, size, pixels, class_names, replace_head
        )
    except CheckpointError as error:
        raise UserError(f"{path}: {error}.") from error


def _import(checkpoint, arch, num_frames, size, pixels, class_names, replace_head):
    own = own_description(checkpoint)
    shapes = {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    architecture, remark = _architecture(shapes, arch, own)
    remarks = [remark, *map(printable, _remarks(checkpoint))]
    pixels, convention, remark = _pixels(pixels, checkpoint, architecture, own)
    remarks.append(remark)
    num_classes = replace_head or architecture.config["num_classes"]
    class_names = class_names or (None if replace_head else own.get("class_names"))
    _check_class_count(checkpoint.path, num_classes, class_names)
    config = {
        **architecture.config,
        **convention,
        "num_classes": num_classes,
        "class_names": class_names,
        "num_frames": own.get("num_frames", 16) if num_frames is None else num_frames,
        "size": own.get("size", 112) if size is None else size,
        "fps": own.get("fps"),
    }
    expected = torch_shapes(config, architecture.naming)
    fresh = {f"{HEAD}.weight", f"{HEAD}.bias"} if replace_head else ()
    report, problems = explain(shapes, expected, frozenset(fresh))
    if problems:
        raise CheckpointError(_list(problems, architecture))
    if replace_head:
        remarks.append(f"Head: fresh, for {replace_head} classes.")
    try:
        model = ResNeXt3D(**config)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"does not fit: {error}") from error
    _assign(checkpoint, model, architecture.naming, fresh)
    for line in remarks:
        logger.info("%s", line)
    return ImportedModel(model, report, architecture, pixels, tuple(remarks))


def _architecture(shapes, arch, own):
    """The architecture, and how it was found."""
    if arch is not None and arch not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise UserError(f"`--arch {arch}` is unknown. Known: {known}.")
    if arch is None and not own:
        architecture = recognise(shapes)
        return architecture, f"Recognised {architecture.description}."
    config = ARCHITECTURES[arch] if arch else {name: own[name] for name in DETERMINED}
    classes = next(iter(shapes.get(f"{HEAD}.weight", ())), None)
    architecture = Architecture({**config, "num_classes": classes}, naming_of(shapes))
    reason = "As asked for" if arch else "As stored with the weights"
    return architecture, f"{reason}: {architecture.description}."


def _pixels(name, checkpoint, architecture, own):
    """Name, mean and deviation of the pixels' convention, and how it was found."""
    if name == "auto" and own:
        stored = {"mean": own["mean"], "std": own["std"]}
        return "stored", stored, "Pixels: as stored with the weights."
    name, reason = choose_pixels(name, checkpoint, architecture.naming)
    chosen = PIXELS[name]
    remark = f"Pixels: {chosen.wants}, {reason}."
    return name, {"mean": chosen.mean, "std": chosen.std}, remark


def _remarks(checkpoint):
    if checkpoint.wrapper is not None:
        yield (
            f"Weights found under {checkpoint.wrapper!r}; left out beside them: "
            f"{', '.join(checkpoint.beside) or 'nothing'}."
        )
    if checkpoint.prefix:
        yield f"Prefix {checkpoint.prefix!r} taken off every name."


def _check_class_count(path, num_classes, class_names):
    if class_names is None:
        return
    if num_classes is None:
        raise UserError(
            f"{path}: has no classifier that {len(class_names)} class names could "
            f"belong to. Add --replace-head {len(class_names)} for a fresh one."
        )
    if len(class_names) != num_classes:
        raise UserError(
            f"{path}: its classifier has {num_classes} classes, but "
            f"{len(class_names)} class names are given. Give {num_classes} names, or "
            f"add --replace-head {len(class_names)} for a fresh classifier."
        )


def _list(problems, architecture):
    shown = "; ".join(problems[:MAX_PROBLEMS_SHOWN])
    more = len(problems) - MAX_PROBLEMS_SHOWN
    more = f" and {more} more" if more > 0 else ""
    return f"does not fit {architecture.description}: {shown}{more}"


def _assign(checkpoint, model, naming, fresh):
    """Copies tensor by tensor, so that never two copies of the weights are needed."""
    for name, variable in keras_variables(model, naming).items():
        if name in fresh:
            continue
        values = to_keras(checkpoint.tensors[name].read())
        if not np.isfinite(values).all():
            raise CheckpointError(f"holds numbers that are not finite, in {name}")
        if name.endswith(".running_var") and values.min() < 0:
            raise CheckpointError(f"holds a negative variance, in {name}")
        variable.assign(values)
