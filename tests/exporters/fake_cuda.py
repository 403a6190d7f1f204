"""A stand-in for a GPU: CUDA's runtime and an engine of TensorRT in host memory.

It keeps what the real ones insist on: memory must be taken before it is used and given
back once, copies go in the direction they say, an engine runs only after the shape of
its input and all addresses are set.
"""

import ctypes
import enum
from types import SimpleNamespace

import numpy as np


class Status(enum.Enum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2


class Direction(enum.Enum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class FakeCuda:
    """The functions of `cuda.bindings.runtime` that the runner calls."""

    cudaError_t = Status
    cudaMemcpyKind = Direction

    def __init__(self, bytes_free=1 << 30):
        self.bytes_free = bytes_free
        self.memory = {}
        self.handles = set()
        self.clock_ms = 0.0

    def cudaMalloc(self, size):
        if size > self.bytes_free:
            return Status.cudaErrorMemoryAllocation, 0
        self.bytes_free -= size
        return self._take(size, "device")

    def cudaMallocHost(self, size):
        return self._take(size, "host")

    def cudaFree(self, address):
        del self.memory[address]
        return (Status.cudaSuccess,)

    cudaFreeHost = cudaFree

    def cudaStreamCreate(self):
        return self._handle()

    cudaEventCreate = cudaStreamCreate

    def cudaStreamDestroy(self, handle):
        self.handles.remove(int(handle))
        return (Status.cudaSuccess,)

    cudaEventDestroy = cudaStreamDestroy

    def cudaStreamSynchronize(self, stream):
        return (Status.cudaSuccess,)

    def cudaEventRecord(self, event, stream):
        event.at_ms = self.clock_ms
        return (Status.cudaSuccess,)

    def cudaEventElapsedTime(self, start, end):
        return Status.cudaSuccess, end.at_ms - start.at_ms

    def cudaMemcpyAsync(self, to, source, size, kind, stream):
        places = (self.memory[source][1], self.memory[to][1])
        expected = ("host", "device")
        if kind is Direction.cudaMemcpyDeviceToHost:
            expected = ("device", "host")
        assert places == expected
        assert size <= min(len(self.memory[to][0]), len(self.memory[source][0]))
        ctypes.memmove(to, source, size)
        self.clock_ms += 0.25
        return (Status.cudaSuccess,)

    def _take(self, size, place):
        content = (ctypes.c_uint8 * size)()
        address = ctypes.addressof(content)
        self.memory[address] = (content, place)
        return Status.cudaSuccess, address

    def _handle(self):
        handle = Handle(len(self.handles) + 1)
        while int(handle) in self.handles:
            handle = Handle(int(handle) + 1)
        self.handles.add(int(handle))
        return Status.cudaSuccess, handle


class Handle:
    def __init__(self, number):
        self.number = number
        self.at_ms = None

    def __int__(self):
        return self.number


def fake_tensorrt(cuda, compute, shapes):
    """A module in the place of `tensorrt`.

    Args:
        cuda: The memory.
        compute: From clips to outputs by name, the network.
        shapes: `(-1, ...)` and type of every tensor by name; `clip` is the input.
    """

    class Context:
        def __init__(self, config):
            self.addresses, self.shape, self.config = {}, None, config

        def set_input_shape(self, name, shape):
            assert name == "clip"
            self.shape = shape

        def set_tensor_address(self, name, address):
            self.addresses[name] = address

        def execute_async_v3(self, stream):
            if self.shape is None or set(self.addresses) != set(shapes):
                return False
            clips = self._view("clip")
            for name, values in compute(clips).items():
                self._view(name)[...] = values
            cuda.clock_ms += 2.0
            return True

        def _view(self, name):
            content, place = cuda.memory[self.addresses[name]]
            assert place == "device"
            shape = (self.shape[0], *shapes[name][0][1:])
            values = np.frombuffer(content, shapes[name][1], int(np.prod(shape)))
            return values.reshape(shape)

    class Engine:
        num_io_tensors = len(shapes)

        def get_tensor_name(self, index):
            return list(shapes)[index]

        def get_tensor_mode(self, name):
            return "in" if name == "clip" else "out"

        def get_tensor_shape(self, name):
            return shapes[name][0]

        def get_tensor_dtype(self, name):
            return shapes[name][1]

        def create_runtime_config(self):
            return SimpleNamespace()

        def create_execution_context(self, config=None):
            return Context(config)

    class Logger:
        def __init__(self):
            self.errors = []

    class Runtime:
        def __init__(self, logger):
            self.logger = logger

        def deserialize_cuda_engine(self, content):
            if content != b"engine":
                self.logger.errors.append("magic number is wrong\nmore")
                return None
            return Engine()

    return SimpleNamespace(
        flavour="tensorrt",
        version="11.0",
        make_logger=Logger,
        module=SimpleNamespace(
            Runtime=Runtime,
            TensorIOMode=SimpleNamespace(INPUT="in"),
            DynamicShapesKernelSpecializationStrategy=SimpleNamespace(EAGER="eager"),
            nptype=np.dtype,
        ),
    )
