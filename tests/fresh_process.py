"""Runs a function of the tests in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_python(*arguments, backend="tensorflow", onednn=None, keras_home=None):
    """Runs Python from the root of the repository; fails with what it printed.

    Args:
        *arguments: Those of the interpreter, e.g. `"-c", "import keras"`.
        backend: The backend of Keras.
        onednn: Whether TensorFlow may use oneDNN, where it has it; default: as here.
        keras_home: Folder of Keras's own settings.

    Returns:
        What it printed to standard output.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
    }
    if onednn is not None:
        environment["TF_ENABLE_ONEDNN_OPTS"] = str(int(onednn))
    if keras_home is not None:
        environment["KERAS_HOME"] = str(keras_home)
    result = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return result.stdout
