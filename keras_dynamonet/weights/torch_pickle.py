"""The names that a PyTorch checkpoint may ask for, and what they stand for here."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

from keras_dynamonet.weights.restricted_pickle import Inert, read_pickle
from keras_dynamonet.weights.stored_tensor import (
    MAX_AXES,
    STORED_AS,
    CheckpointError,
    Storage,
    StoredTensor,
)

_STORAGE_TYPES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


class TypedStorage:
    """The numbers behind one or more tensors: where they lie and of what type.

    The old format says where only after the tensors; until then `source` is `None`.

    Args:
        dtype: Name of the number type.
        size: Number of elements.
    """

    def __init__(self, dtype: str, size: int):
        self.dtype = dtype
        self.size = size
        self.source: Storage | None = None


class TensorView:
    """A tensor as the pickle describes it: a view on a storage."""

    def __init__(self, storage, start, shape, strides):
        parts = (storage, shape, strides)
        if not all(isinstance(p, t) for p, t in zip(parts, _VIEW_TYPES, strict=True)):
            raise CheckpointError("is damaged: a tensor without data or shape")
        self.storage = storage
        self.start = start
        self.shape = shape
        self.strides = strides

    def located(self) -> StoredTensor:
        """The same once its storage is known.

        Raises:
            CheckpointError: If the view reaches out of the storage.
        """
        return StoredTensor(
            self.storage.source,
            self.storage.dtype,
            self.shape,
            self.strides,
            self.start,
        )


_VIEW_TYPES = (TypedStorage, tuple, tuple)


def load_torch_pickle(
    stream: BytesIO, find_storage: Callable[[str, str, int], TypedStorage]
) -> Any:
    """Reads the pickle of a checkpoint; tensors become :class:`TensorView`.

    Args:
        stream: The bytes from the first instruction on.
        find_storage: Called with key, number type and number of elements of a storage.

    Raises:
        CheckpointError: As :func:`read_pickle`.
    """

    def persistent_load(reference):
        kind, storage_type, key, _, size, *view = reference
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise CheckpointError("is damaged: it refers to data of an unknown kind")
        if type(size) is not int or size < 0 or any(part is not None for part in view):
            raise CheckpointError("is damaged: a tensor has an impossible size")
        return find_storage(str(key), storage_type.dtype, size)

    return read_pickle(stream, _TABLE, persistent_load)


class _StorageType:
    def __init__(self, dtype):
        self.dtype = dtype


def _tensor(storage, start, shape, strides, *_):
    return TensorView(storage, start, shape, strides)


def _parameter(data, *_):
    return data


def _size(sizes=()):
    if len(sizes) > MAX_AXES:  # else a short file could ask for many long copies
        raise CheckpointError("is damaged: a tensor has an impossible shape")
    return tuple(sizes)


def _ordered_dict(*_):
    return {}  # its items follow one by one


_INERT = Inert()
_TABLE = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch", "Size"): _size,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    **{
        (module, name): _StorageType(dtype)
        for name, dtype in _STORAGE_TYPES.items()
        for module in ("torch", "torch.cuda")
    },
    # Beside the weights, checkpoints hold counters, scores and options, written as:
    **{("torch", dtype): _INERT for dtype in STORED_AS},
    **{
        (module, name): _INERT
        for name in ("list", "dict", "set", "int", "float")
        for module in ("builtins", "__builtin__")
    },
    ("collections", "Counter"): _INERT,
    ("collections", "defaultdict"): _INERT,
    ("argparse", "Namespace"): _INERT,
    ("torch", "device"): _INERT,
    ("_codecs", "encode"): _INERT,
    ("numpy", "dtype"): _INERT,
    ("numpy", "ndarray"): _INERT,
    ("numpy.core.multiarray", "scalar"): _INERT,
    ("numpy._core.multiarray", "scalar"): _INERT,
    ("numpy.core.multiarray", "_reconstruct"): _INERT,
    ("numpy._core.multiarray", "_reconstruct"): _INERT,
}
