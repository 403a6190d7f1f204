"""Tensors that stay in their file until they are read."""

import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from keras_dynamonet.errors import UserError

CHUNK_BYTES = 1 << 20
MAX_AXES = 8

# Our name of a number type: how its bytes lie in a file.
STORED_AS = {
    "float64": "f8",
    "float32": "f4",
    "float16": "f2",
    "bfloat16": "u2",  # the upper half of a float32
    "int64": "i8",
    "int32": "i4",
    "int16": "i2",
    "int8": "i1",
    "uint8": "u1",
    "bool": "u1",
}


class CheckpointError(ValueError):
    """What is wrong with a checkpoint file; the reader adds the file's name."""

    def __init__(self, reason: str):
        super().__init__(printable(reason))


def printable(text: str) -> str:
    """A text from a file as one harmless line.

    >>> printable("two\\nlines")
    'two?lines'
    """
    return "".join(letter if letter.isprintable() else "?" for letter in text)


class Storage:
    """A stretch of bytes in a file, checked against its checksum once.

    Args:
        path: The file.
        offset: First byte.
        size: Number of bytes.
        checksum: CRC-32 of the bytes, or `None` if the format has none.
        big_endian: Whether numbers are written with their highest byte first.
    """

    def __init__(
        self,
        path: Path,
        offset: int,
        size: int,
        *,
        checksum: int | None = None,
        big_endian: bool = False,
    ):
        self.path = path
        self.offset = offset
        self.size = size
        self.checksum = checksum
        self.big_endian = big_endian

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to, not including, `stop`.

        Raises:
            UserError: If the file ends early or does not match its checksum.
        """
        with open(self.path, "rb") as file:
            if self.checksum is not None:
                self._verify(file)
            file.seek(self.offset + start)
            data = file.read(stop - start)
        if len(data) != stop - start:
            raise UserError(f"{self.path}: is cut short. Fetch or copy the file again.")
        return data

    def _verify(self, file):
        file.seek(self.offset)
        checksum, left = 0, self.size
        while left:
            chunk = file.read(min(CHUNK_BYTES, left))
            if not chunk:
                break
            checksum = zlib.crc32(chunk, checksum)
            left -= len(chunk)
        if checksum != self.checksum:
            raise UserError(
                f"{self.path}: is damaged: its data does not match its checksum. "
                "Fetch or copy the file again."
            )
        self.checksum = None


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file. Its extent is checked when it is made, not when it is read.

    Args:
        storage: The bytes that hold it.
        dtype: Name of the number type, a key of `STORED_AS`.
        shape: Sizes of the axes.
        strides: Elements from one entry to the next, along each axis.
        start: Element of the storage that the tensor begins with.

    Raises:
        CheckpointError: If the tensor reaches out of its storage, has more elements
            than it, or is of an unsupported type.
    """

    storage: Storage
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    start: int = 0

    def __post_init__(self):
        numbers = (*self.shape, *self.strides, self.start)
        whole = all(type(number) is int and number >= 0 for number in numbers)
        axes = len(self.shape)
        if not whole or axes != len(self.strides) or axes > MAX_AXES:
            raise CheckpointError("is damaged: a tensor has an impossible shape")
        if self.dtype not in STORED_AS:
            raise CheckpointError(f"holds numbers of type {self.dtype}: not supported")
        available = self.storage.size // self.item_bytes
        if self.num_elements > available or self._stop > available:
            raise CheckpointError(
                f"is damaged: a tensor of shape {self.shape} reaches out of its data"
            )

    @property
    def item_bytes(self) -> int:
        """Bytes of one element."""
        return np.dtype(STORED_AS[self.dtype]).itemsize

    @property
    def num_elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def _stop(self):
        if not self.num_elements:
            return self.start
        steps = zip(self.shape, self.strides, strict=True)
        return self.start + sum((n - 1) * stride for n, stride in steps) + 1

    def read(self) -> np.ndarray:
        """The tensor as a fresh array, bfloat16 as float32.

        Raises:
            UserError: If the file is cut short or does not match its checksum.
        """
        order = ">" if self.storage.big_endian else "<"
        dtype = np.dtype(order + STORED_AS[self.dtype])
        data = self.storage.read(
            self.start * dtype.itemsize, self._stop * dtype.itemsize
        )
        array = np.lib.stride_tricks.as_strided(
            np.frombuffer(data, dtype),
            self.shape,
            [stride * dtype.itemsize for stride in self.strides],
        )
        if self.dtype == "bfloat16":
            return (array.astype("<u4") << 16).view("<f4")
        if self.dtype == "bool":
            return array.astype(bool)
        return array.astype(dtype.newbyteorder("="))


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a tensor whose last axis lies side by side, in elements.

    >>> contiguous_strides((2, 3, 4))
    (12, 4, 1)
    """
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))
