"""PyTorch's format before 1.6: pickles one after the other, then the numbers.

```
magic number | version | byte order | the object | keys of the storages
for each key: number of elements (8 bytes) | elements
```
"""

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from keras_dynamonet.weights.restricted_pickle import read_pickle
from keras_dynamonet.weights.stored_tensor import (
    STORED_AS,
    CheckpointError,
    Storage,
)
from keras_dynamonet.weights.torch_pickle import TypedStorage, load_torch_pickle

MAGICS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
MAX_PICKLE_BYTES = 8 << 20

_COUNT = struct.Struct("<q")


def read_torch_legacy(path: Path) -> Any:
    """Reads a checkpoint in the old format; the data of tensors stays in the file.

    Args:
        path: The file.

    Raises:
        CheckpointError: If it is damaged or no checkpoint.
    """
    with open(path, "rb") as file:
        stream = BytesIO(file.read(MAX_PICKLE_BYTES))
    if read_pickle(stream, {}) != MAGIC_NUMBER:
        raise CheckpointError("is a pickle, but no PyTorch checkpoint")
    read_pickle(stream, {})  # the version, of which there is only one
    system = read_pickle(stream, {})
    if not isinstance(system, dict):
        raise CheckpointError("is damaged: it does not say its byte order")
    storages: dict[str, TypedStorage] = {}

    def find_storage(key, dtype, size):
        return storages.setdefault(key, TypedStorage(dtype, size))

    content = load_torch_pickle(stream, find_storage)
    keys = read_pickle(stream, {})
    big_endian = system.get("little_endian") is False
    _locate(path, stream.tell(), keys, storages, big_endian)
    return content


def _locate(path, offset, keys, storages, big_endian):
    """Walks over the data behind the pickles and says of each storage where it is."""
    if not isinstance(keys, list) or {str(key) for key in keys} != set(storages):
        raise CheckpointError("is damaged: its data does not match its tensors")
    file_size = path.stat().st_size
    with open(path, "rb") as file:
        for key in keys:
            storage = storages[str(key)]
            file.seek(offset)
            count = file.read(_COUNT.size)
            if len(count) != _COUNT.size:
                raise CheckpointError("is cut short")
            if _COUNT.unpack(count)[0] != storage.size:
                raise CheckpointError("is damaged: its data does not match its tensors")
            size = storage.size * np.dtype(STORED_AS[storage.dtype]).itemsize
            offset += _COUNT.size
            storage.source = Storage(path, offset, size, big_endian=big_endian)
            offset += size
            if offset > file_size:
                raise CheckpointError("is cut short")
