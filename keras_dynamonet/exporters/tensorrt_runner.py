"""Engines in action: named tensors on a CUDA stream, times in trtexec's words.

Written against the documented API of TensorRT 10, 11 and TensorRT-RTX 1.7. No part of
this module has met a GPU yet: its tests run on a stand-in for CUDA in host memory.
"""

import contextlib
import ctypes
import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_dynamonet.errors import UserError, first_line
from keras_dynamonet.exporters.latency import EngineReport, Timing
from keras_dynamonet.exporters.signature import INPUT
from keras_dynamonet.exporters.tensorrt_engine import (
    EngineRecord,
    check_fits,
    read_record,
    this_machine,
)
from keras_dynamonet.exporters.tensorrt_network import TensorRT, load_tensorrt


class TensorRTRunner:
    """An engine on a GPU: from clips to outputs by name.

    Memory for the largest batch is taken once, page-locked on the host. Use it as a
    context manager, or call :meth:`close`.

    Args:
        engine: The content of the engine file.
        record: What it was built for.
        tensorrt: The flavour that built it.
        cuda: The module `cuda.bindings.runtime`; default: imported.

    Raises:
        UserError: If TensorRT refuses the engine or CUDA fails.

    Example:

    ```python
    with open_engine("model.float16.engine") as run:
        probabilities = run(clips)["probabilities"]  # clips: uint8 (n, T, H, W, 3)
        print(run.measure(clips, duration_seconds=3.0).to_text())
    ```
    """

    def __init__(
        self,
        engine: bytes,
        record: EngineRecord,
        tensorrt: TensorRT,
        *,
        cuda: Any = None,
    ):
        if cuda is None:
            from cuda.bindings import runtime as cuda
        self._cuda, self._trt = cuda, tensorrt.module
        self._record = record
        self._memory = {}  # name -> (device address, host address, host bytes)
        self._logger = tensorrt.make_logger()
        self._runtime = self._trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise UserError(
                f"{tensorrt.flavour} cannot load the engine: {self._reason}"
            )
        self._context = self._make_context(tensorrt.flavour)
        if self._context is None:
            raise UserError(
                f"{tensorrt.flavour} cannot run the engine on this GPU: "
                f"{self._reason}. If it has no room, build it with a smaller "
                "--max-batch."
            )
        self._inputs, self._outputs = [], []
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            is_input = (
                self._engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT
            )
            (self._inputs if is_input else self._outputs).append(name)
        with contextlib.ExitStack() as taken:
            self._stream = self._take(taken, "cudaStreamCreate", "cudaStreamDestroy")
            self._events = [
                self._take(taken, "cudaEventCreate", "cudaEventDestroy")
                for _ in range(4)
            ]
            for name in (*self._inputs, *self._outputs):
                self._allocate(taken, name)
            self._taken = taken.pop_all()

    def __enter__(self) -> "TensorRTRunner":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    @property
    def name(self) -> str:
        """Flavour of TensorRT and its version."""
        return f"{self._record.flavour} {self._record.version}"

    @property
    def clip_shape(self) -> tuple[int | None, ...]:
        """Of a batch, the number of clips free."""
        return (None, *tuple(self._engine.get_tensor_shape(INPUT))[1:])

    def __call__(self, clips: np.ndarray) -> Mapping[str, np.ndarray]:
        """Runs the engine once.

        Args:
            clips: uint8 `(n, T, height, width, 3)`, as many as the engine takes.

        Returns:
            Outputs by name, n rows each.

        Raises:
            UserError: If the clips do not fit the engine or CUDA fails.
        """
        self._check(clips)
        self._enqueue({INPUT: clips})
        return {name: self._host(name, len(clips)).copy() for name in self._outputs}

    def measure(
        self,
        clips: np.ndarray,
        *,
        duration_seconds: float = 3.0,
        iterations: int = 10,
        warm_up_seconds: float = 0.2,
    ) -> EngineReport:
        """Measures how long batches take, one after the other.

        Args:
            clips: The batch to run again and again.
            duration_seconds: Measure at least so long.
            iterations: Measure at least so many batches.
            warm_up_seconds: Run at least so long, and twice, before.

        Returns:
            Times of copying in, computing and copying out, by events of the GPU.
        """
        self._check(clips)
        deadline, runs = time.perf_counter() + warm_up_seconds, 0
        while runs < 2 or time.perf_counter() < deadline:
            self._enqueue({INPUT: clips})
            runs += 1
        timings, started = [], time.perf_counter()
        deadline = started + duration_seconds
        while len(timings) < iterations or time.perf_counter() < deadline:
            timings.append(self._enqueue({INPUT: clips}))
        return EngineReport(tuple(timings), len(clips), time.perf_counter() - started)

    def close(self) -> None:
        """Gives the memory of the GPU back. May be called again."""
        self._taken.close()
        self._memory.clear()
        self._context = self._engine = self._runtime = None

    @property
    def _reason(self):
        """What TensorRT said last."""
        return first_line("".join(self._logger.errors[-1:]))

    def _make_context(self, flavour):
        if flavour != "tensorrt_rtx":
            return self._engine.create_execution_context()
        # Left to itself TensorRT-RTX computes with other kernels while it compiles
        # those of a new shape: what is compared would not be what serves later.
        config = self._engine.create_runtime_config()
        strategies = self._trt.DynamicShapesKernelSpecializationStrategy
        config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        return self._engine.create_execution_context(config)

    def _check(self, clips):
        if self._engine is None:
            raise UserError("The engine is closed. Open it again.")
        least, _, most = self._record.batches
        _, *shape = self._engine.get_tensor_shape(INPUT)
        if not least <= len(clips) <= most:
            raise UserError(
                f"The engine takes {least} to {most} clips. Received: {len(clips)}"
            )
        if clips.dtype != np.uint8 or list(clips.shape[1:]) != list(shape):
            raise UserError(
                f"The engine takes uint8 clips of shape {tuple(shape)}. "
                f"Received: {clips.dtype} {clips.shape[1:]}"
            )

    def _enqueue(self, feeds):
        """One run: copy in, compute, copy out, wait."""
        cuda, stream, events = self._cuda, self._stream, self._events
        batch = len(feeds[INPUT])
        for name, values in feeds.items():
            self._context.set_input_shape(name, values.shape)
            np.copyto(self._host(name, batch), values)
        self._call("cudaEventRecord", events[0], stream)
        for name in self._inputs:
            self._copy(name, batch, cuda.cudaMemcpyKind.cudaMemcpyHostToDevice)
        self._call("cudaEventRecord", events[1], stream)
        before = time.perf_counter()
        if not self._context.execute_async_v3(int(stream)):
            raise UserError(f"The engine cannot run: {self._reason}")
        enqueue = time.perf_counter() - before
        self._call("cudaEventRecord", events[2], stream)
        for name in self._outputs:
            self._copy(name, batch, cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost)
        self._call("cudaEventRecord", events[3], stream)
        self._call("cudaStreamSynchronize", stream)
        copy_in, compute, copy_out = (
            self._call("cudaEventElapsedTime", *events[index : index + 2])
            for index in range(3)
        )
        return Timing(copy_in, compute, copy_out, enqueue * 1e3)

    def _take(self, taken, take, give_back, *arguments):
        """Takes something of CUDA that `taken` gives back."""
        value = self._call(take, *arguments)
        taken.callback(self._call, give_back, value)
        return value

    def _allocate(self, taken, name):
        size = int(np.prod(self._shape(name, self._record.batches[2])))
        size *= np.dtype(self._dtype(name)).itemsize
        device = self._take(taken, "cudaMalloc", "cudaFree", size)
        host = self._take(taken, "cudaMallocHost", "cudaFreeHost", size)
        self._memory[name] = (device, host, size)
        self._context.set_tensor_address(name, int(device))

    def _copy(self, name, batch, kind):
        device, host, _ = self._memory[name]
        pair = (device, host)
        if kind == self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost:
            pair = (host, device)
        size = self._host(name, batch).nbytes
        self._call("cudaMemcpyAsync", *pair, size, kind, self._stream)

    def _host(self, name, batch):
        """The page-locked host memory of a tensor, as an array."""
        _, host, size = self._memory[name]
        content = (ctypes.c_uint8 * size).from_address(int(host))
        shape = self._shape(name, batch)
        values = np.frombuffer(content, self._dtype(name), count=int(np.prod(shape)))
        return values.reshape(shape)

    def _shape(self, name, batch):
        _, *shape = self._engine.get_tensor_shape(name)
        return (batch, *shape)

    def _dtype(self, name):
        return np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(name)))

    def _call(self, function, *arguments):
        """Calls CUDA and turns its status into an exception."""
        error, *values = getattr(self._cuda, function)(*arguments)
        if error != self._cuda.cudaError_t.cudaSuccess:
            raise UserError(f"CUDA: {function} failed with {error.name}.")
        return values[0] if values else None


def open_engine(path: str | os.PathLike) -> TensorRTRunner:
    """Loads an engine that :func:`export_tensorrt` wrote, if it fits this machine.

    Raises:
        UserError: If the engine or its sidecar is missing or damaged, or the engine was
            built for another GPU or version.
    """
    record, _ = read_record(path)
    check_fits(path, record, this_machine())
    with open(path, "rb") as file:
        return TensorRTRunner(file.read(), record, load_tensorrt(record.flavour))
