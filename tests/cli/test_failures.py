import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.cli.failures import describe_failure
from keras_dynamonet.errors import UserError

TOO_MANY = 1 << 45
"""Numbers that no machine has the memory for."""


def _error_of(function) -> Exception:
    with pytest.raises(Exception) as raised:
        function()
    return raised.value


def test_memory_that_tensorflow_does_not_get():
    @tf.function
    def make():
        return tf.random.uniform((TOO_MANY,))

    message = describe_failure(_error_of(make))
    assert "the memory does not suffice: OOM when allocating tensor" in message
    assert f"[{TOO_MANY}]" in message
    assert "--batch-size" in message
    assert "{{" not in message and "/job:" not in message and "\n" not in message


def test_memory_that_numpy_does_not_get():
    message = describe_failure(_error_of(lambda: np.zeros((1024, TOO_MANY))))
    assert "the memory does not suffice: Unable to allocate" in message


def test_memory_that_python_does_not_get():
    message = describe_failure(_error_of(lambda: bytearray(1 << 60)))
    assert "the memory does not suffice: there is no more." in message


@pytest.mark.parametrize(
    "said",
    [
        "RESOURCE_EXHAUSTED: Out of memory allocating 140737488355328 bytes.",  # JAX
        "CUDA out of memory. Tried to allocate 2.00 GiB.",  # PyTorch
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.",
        "RESOURCE_EXHAUSTED: Failed to allocate request for 2.00GiB on device 0",
        "failed to allocate 2.00GiB: CUDA_ERROR_OUT_OF_MEMORY",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    ],
)
def test_what_other_libraries_say_of_memory(said):
    error = RuntimeError(f"While computing a step:\n{said}\nmore")
    reason = said.rstrip(".")
    assert f"the memory does not suffice: {reason}. What helps" in describe_failure(
        error
    )


def test_an_error_caused_by_memory():
    try:
        try:
            raise MemoryError("std::bad_alloc")
        except MemoryError as cause:
            raise RuntimeError("The graph cannot be told.") from cause
    except RuntimeError as error:
        assert "the memory does not suffice: std::bad_alloc." in describe_failure(error)


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("division by zero"),
        RuntimeError("a room with no exit"),  # o-o-m is in it
        tf.errors.InvalidArgumentError(None, None, "shapes differ"),
        KeyError("memory"),
        # So TensorFlow calls a full disk, too.
        tf.errors.ResourceExhaustedError(None, None, "a.pb; No space left on device"),
        ImportError("libgomp.so.1: cannot allocate memory in static TLS block"),
    ],
)
def test_a_mistake_of_the_program_is_not_told_in_one_line(error):
    assert describe_failure(error) is None


@pytest.mark.parametrize("name", ["out_of_memory.mp4", "OOM when/a.mp4"])
def test_names_of_files_say_nothing_of_memory(name):
    error = FileNotFoundError(2, "No such file or directory", name)
    assert describe_failure(error) == f"{name}: No such file or directory."
    try:
        raise RuntimeError("It cannot be told.") from error
    except RuntimeError as outer:
        assert describe_failure(outer) is None


def test_memory_that_the_system_does_not_give():
    message = describe_failure(OSError(12, "Cannot allocate memory"))
    assert "the memory does not suffice: Cannot allocate memory." in message


def test_a_users_mistake_keeps_its_words():
    error = UserError("a.mp4: is out of memory of man. Remove it.")
    assert describe_failure(error) == str(error)


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("openvino", "Keras is set to run on openvino, but"),
        ("nonsense", "Keras is set to run on nonsense, but"),
    ],
)
def test_a_backend_that_the_networks_do_not_run_on(backend, said):
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-m", "keras_dynamonet.cli.main", "summary", "nano-16f"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"\ndynamonet: error: {said}" in f"\n{done.stderr}"
    assert "Traceback" not in done.stderr


def test_a_backend_that_is_not_installed(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    message = describe_failure(ModuleNotFoundError("No module named 'jax'", name="jax"))
    assert message == (
        'KERAS_BACKEND=jax needs an extra: pip install "keras-dynamonet[jax]".'
    )
