"""PyTorch's zip format: `NAME/data.pkl` and one file `NAME/data/KEY` a storage."""

import struct
import zipfile
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from keras_dynamonet.weights.stored_tensor import CheckpointError, Storage
from keras_dynamonet.weights.torch_pickle import TypedStorage, load_torch_pickle

MAGIC = b"PK\x03\x04"
# Descriptions of tensors and counters; a ResNet-200 with its optimizer takes 0.4 MB.
MAX_PICKLE_BYTES = 8 << 20

_LOCAL_HEADER = struct.Struct("<4s22x2H")


def read_torch_zip(path: Path) -> Any:
    """Reads a checkpoint in the zip format; the data of tensors stays in the file.

    Nothing is unpacked, so that no entry can end up outside of a folder, and compressed
    entries, which PyTorch never writes, are refused: none can blow up.

    Args:
        path: The file.

    Raises:
        CheckpointError: If it is damaged or no checkpoint.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (
        EOFError,
        NotImplementedError,
        OverflowError,
        RuntimeError,
        ValueError,
        struct.error,
        zipfile.BadZipFile,
    ) as error:
        raise CheckpointError("is a damaged or cut zip archive") from error
    index = _checked_index(entries)
    root = _root(index)
    big_endian = _byte_order(path, index, root)
    storages: dict[str, TypedStorage] = {}

    def find_storage(key, dtype, size):
        if key not in storages:
            entry = index.get(f"{root}data/{key}")
            if entry is None:
                raise CheckpointError(f"lacks the data of a tensor (data/{key[:40]})")
            storages[key] = TypedStorage(dtype, size)
            storages[key].source = _storage(path, entry, big_endian)
        return storages[key]

    pickle = _storage(path, index[f"{root}data.pkl"])
    if pickle.size > MAX_PICKLE_BYTES:
        raise CheckpointError("is damaged: its list of tensors is too long")
    return load_torch_pickle(BytesIO(pickle.read(0, pickle.size)), find_storage)


def _checked_index(entries):
    index = {entry.filename: entry for entry in entries}
    if len(index) != len(entries):
        raise CheckpointError("is damaged: two entries have one name")
    for name in index:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name:
            raise CheckpointError("holds an entry outside of its folder: refused")
    return index


def _root(index):
    roots = [name[: -len("data.pkl")] for name in index if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise CheckpointError(
            "is a zip archive, but no PyTorch checkpoint (it has no data.pkl)"
        )
    if f"{roots[0]}constants.pkl" in index:
        raise CheckpointError(
            "is a TorchScript program. In PyTorch, save `model.state_dict()` instead"
        )
    return roots[0]


def _byte_order(path, index, root):
    entry = index.get(f"{root}byteorder")
    if entry is None:
        return False
    storage = _storage(path, entry)
    return storage.read(0, min(storage.size, 16)) == b"big"


def _storage(path, entry, big_endian=False):
    stored = entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & 1
    if not stored or entry.file_size != entry.compress_size:
        raise CheckpointError("is compressed or encrypted, unlike PyTorch's: refused")
    if not 0 <= entry.header_offset < path.stat().st_size:
        raise CheckpointError("is a damaged zip archive")
    with open(path, "rb") as file:
        file.seek(entry.header_offset)
        header = file.read(_LOCAL_HEADER.size)
        if len(header) != _LOCAL_HEADER.size or not header.startswith(MAGIC):
            raise CheckpointError("is a damaged zip archive")
        _, name_size, extra_size = _LOCAL_HEADER.unpack(header)
        offset = file.tell() + name_size + extra_size
    if offset + entry.file_size > path.stat().st_size:
        raise CheckpointError("is cut short")
    return Storage(
        path, offset, entry.file_size, checksum=entry.CRC, big_endian=big_endian
    )
