"""Files of weights of any format, as names and tensors."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_dynamonet.errors import UserError
from keras_dynamonet.weights import torch_legacy, torch_zip
from keras_dynamonet.weights.safetensors_file import read_safetensors
from keras_dynamonet.weights.stored_tensor import CheckpointError, StoredTensor
from keras_dynamonet.weights.torch_pickle import TensorView

# Where training programs put the weights, the likeliest first.
WEIGHT_KEYS = (
    *("state_dict", "model_state_dict", "model_state", "model"),
    *("net", "network", "weights", "params", "backbone"),
)

_STRANGERS = (
    (b"\x89HDF", "is an HDF5 file (Keras or TensorFlow), not a PyTorch checkpoint"),
    (b"<", "is a web page, not a checkpoint: the download went wrong"),
)


@dataclass(frozen=True)
class Checkpoint:
    """The weights in a file.

    Args:
        path: The file.
        format: `"zip"`, `"legacy"` or `"safetensors"`.
        tensors: By name, without the prefix that all names share.
        prefix: That prefix, e.g. `"module."`; it may be empty.
        wrapper: Key that the weights lay under, or `None`.
        beside: Names of what lay beside the weights, e.g. `("epoch", "optimizer")`.
        facts: The numbers and texts among it, or the metadata of a safetensors file.
    """

    path: Path
    format: str
    tensors: dict[str, StoredTensor]
    prefix: str = ""
    wrapper: str | None = None
    beside: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Opens a file of weights. It needs no PyTorch and runs no code of the file.

    Args:
        path: A PyTorch checkpoint (zip or old format) or a safetensors file.

    Returns:
        Names and shapes; the numbers are read from the file when asked for.

    Raises:
        UserError: If the file is missing, damaged, or holds anything but weights.

    Example:

    ```python
    checkpoint = read_checkpoint("resnext-101-kinetics.pth")
    checkpoint.tensors["conv1.weight"].shape  # (64, 3, 7, 7, 7)
    ```
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file. Give the path of a checkpoint.")
    try:
        return _unwrap(path, *_read(path))
    except CheckpointError as error:
        raise UserError(f"{path}: {error}.") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}.") from error


def _read(path):
    """The format, the content and the facts beside it."""
    with open(path, "rb") as file:
        head = file.read(512)
    if not head:
        raise CheckpointError("is empty")
    if head.startswith(torch_zip.MAGIC):
        return "zip", torch_zip.read_torch_zip(path), {}
    if head.startswith(torch_legacy.MAGICS):
        return "legacy", torch_legacy.read_torch_legacy(path), {}
    if head[8:9] == b"{":
        return "safetensors", *read_safetensors(path)
    for magic, reason in _STRANGERS:
        if head.lstrip().startswith(magic):
            raise CheckpointError(reason)
    if head[257:262] == b"ustar":
        raise CheckpointError(
            "is of PyTorch before 0.1.10. Load and save it again with a later one"
        )
    raise CheckpointError("is no checkpoint of PyTorch and no safetensors file")


def _unwrap(path, format, content, facts):
    weights, wrapper = _find_weights(content, None)
    if weights is None:
        raise CheckpointError(
            "holds no named weights. In PyTorch, save `model.state_dict()`"
        )
    beside = {}
    if wrapper is not None:
        beside = {k: v for k, v in content.items() if isinstance(k, str)}
        del beside[wrapper]
        facts = {k: v for k, v in beside.items() if isinstance(v, str | int | float)}
    tensors = {
        name: tensor.located() if isinstance(tensor, TensorView) else tensor
        for name, tensor in weights.items()
    }
    claimed = sum(
        tensor.num_elements * tensor.item_bytes for tensor in tensors.values()
    )
    if claimed > path.stat().st_size:
        raise CheckpointError("is damaged: its tensors claim more data than it has")
    prefix = _shared_prefix(tensors)
    return Checkpoint(
        path,
        format,
        {name[len(prefix) :]: tensor for name, tensor in tensors.items()},
        prefix,
        wrapper,
        tuple(sorted(beside)),
        facts,
    )


def _find_weights(content, wrapper):
    """The dictionary of tensors and the key that it lies under."""
    if not isinstance(content, dict):
        return None, wrapper
    tensors = TensorView | StoredTensor
    if content and all(
        isinstance(name, str) and isinstance(value, tensors)
        for name, value in content.items()
    ):
        return content, wrapper
    if wrapper is None:
        for key in WEIGHT_KEYS:
            weights, _ = _find_weights(content.get(key), key)
            if weights is not None:
                return weights, key
    return None, wrapper


def _shared_prefix(names):
    """What wrappers put before every name: `module.`, `model.backbone.`, ..."""
    prefix = ""
    while True:
        heads = {name[len(prefix) :].partition(".")[0] for name in names}
        tails = all("." in name[len(prefix) :] for name in names)
        if len(heads) != 1 or not tails:
            return prefix
        prefix += f"{heads.pop()}."
