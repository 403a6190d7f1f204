"""From Keras weights to a PyTorch `state_dict`, as a safetensors file."""

from pathlib import Path

import keras

from keras_dynamonet.errors import UserError
from keras_dynamonet.models.dynamonet import DynamoNet
from keras_dynamonet.models.resnext3d import ResNeXt3D
from keras_dynamonet.weights.description import METADATA_KEY, describe
from keras_dynamonet.weights.layout import (
    NAMINGS,
    keras_variables,
    to_torch,
    torch_shapes,
)
from keras_dynamonet.weights.safetensors_file import write_safetensors


def export_state_dict(
    model: ResNeXt3D | DynamoNet, path: str | Path, *, naming: str | None = None
) -> list[str]:
    """Writes the weights of a network under the names of PyTorch's video networks.

    In PyTorch: `net.load_state_dict(safetensors.torch.load_file(path))`. Importing the
    file again gives a network with the same weights to the last bit; its pixels, class
    names and clip length are kept in the metadata of the file.

    Args:
        model: The network. Of a :class:`DynamoNet` the backbone is written, since its
            classifier takes more than the backbone's feature.
        path: The safetensors file to write.
        naming: `"3d-resnets"` or `"torchvision"`. Default: torchvision's for its stems
            without pool, else that of 3D-ResNets.

    Returns:
        The names of the tensors.

    Raises:
        UserError: If the network has no counterpart in PyTorch (STC blocks, folded
            normalisation), or the naming is unknown.

    Example:

    ```python
    export_state_dict(model, "resnext-101.safetensors")
    ```
    """
    backbone = model.backbone if isinstance(model, DynamoNet) else model
    if not isinstance(backbone, ResNeXt3D):
        raise UserError(f"A {type(model).__name__} has no names in PyTorch.")
    config = backbone.get_config()
    for name, wanted in (("stc_ratio", None), ("folded", False)):
        if config[name] != wanted:
            raise UserError(
                f"A network with `{name}={config[name]}` has no names in PyTorch. "
                f"Export one with `{name}={wanted}`."
            )
    if naming is None:
        small = config["stem"] in ("3x7x7", "small (2+1)d")
        naming = "torchvision" if small else "3d-resnets"
    if naming not in NAMINGS:
        known = ", ".join(NAMINGS)
        raise UserError(f"The naming {naming!r} is unknown. Known: {known}.")
    variables = keras_variables(backbone, naming)
    shapes = torch_shapes(config, naming)
    values = (
        (name, to_torch(keras.ops.convert_to_numpy(variable)))
        for name, variable in variables.items()
    )
    write_safetensors(path, values, shapes, {METADATA_KEY: describe(backbone)})
    return list(shapes)
