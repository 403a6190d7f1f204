"""The safetensors format: a JSON header, then the numbers.

```
size of the header (8 bytes) | {"name": {"dtype", "shape", "data_offsets"}, ...} | data
```

Read and written here, since the package of that name reads no bfloat16 into NumPy.
"""

import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from keras_dynamonet.files import atomic_path
from keras_dynamonet.weights.stored_tensor import (
    CheckpointError,
    Storage,
    StoredTensor,
    contiguous_strides,
)

MAX_HEADER_BYTES = 8 << 20

_SIZE = struct.Struct("<Q")
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


def read_safetensors(path: Path) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """Reads names, shapes and metadata; the data of tensors stays in the file.

    Args:
        path: The file.

    Returns:
        The tensors by name, and the metadata.

    Raises:
        CheckpointError: If it is damaged.
    """
    with open(path, "rb") as file:
        size = file.read(_SIZE.size)
        header_size = _SIZE.unpack(size)[0] if len(size) == _SIZE.size else 0
        if not 2 <= header_size <= MAX_HEADER_BYTES:
            raise CheckpointError("is damaged: its header has an impossible size")
        text = file.read(header_size)
    try:
        header = json.loads(text)
        metadata = header.pop("__metadata__", {})
        start = _SIZE.size + header_size
        tensors = {
            name: _tensor(path, start, description)
            for name, description in header.items()
        }
    except CheckpointError:
        raise
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise CheckpointError("is damaged: its header is broken") from error
    if not isinstance(metadata, dict):
        raise CheckpointError("is damaged: its header is broken")
    return tensors, metadata


def write_safetensors(
    path: str | Path,
    tensors: Iterable[tuple[str, np.ndarray]],
    shapes: Mapping[str, tuple[int, ...]],
    metadata: Mapping[str, str],
) -> None:
    """Writes float32 tensors, one after the other.

    Args:
        path: The file.
        tensors: Names and values, in the order of `shapes`.
        shapes: Shape of each tensor.
        metadata: Texts to keep beside them.
    """
    header, offset = {"__metadata__": dict(metadata)}, 0
    for name, shape in shapes.items():
        end = offset + 4 * int(np.prod(shape, dtype=np.int64))
        offsets = [offset, end]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": offsets}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers begin at a multiple of 8
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(_SIZE.pack(len(text)) + text)
        for _, array in tensors:
            file.write(np.ascontiguousarray(array, "<f4").tobytes())


def _tensor(path, start, description):
    begin, end = description["data_offsets"]
    shape = tuple(description["shape"])
    if type(begin) is not int or type(end) is not int or not 0 <= begin <= end:
        raise CheckpointError("is damaged: a tensor has an impossible place")
    if start + end > path.stat().st_size:
        raise CheckpointError("is cut short")
    dtype = _DTYPES.get(description["dtype"], str(description["dtype"])[:20])
    if not all(type(size) is int for size in shape):
        raise CheckpointError("is damaged: a tensor has an impossible shape")
    storage = Storage(path, start + begin, end - begin)
    tensor = StoredTensor(storage, dtype, shape, contiguous_strides(shape))
    if tensor.num_elements * tensor.item_bytes != end - begin:
        raise CheckpointError("is damaged: a tensor does not fill its place")
    return tensor
