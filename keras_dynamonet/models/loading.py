"""Loading of saved models, with an error that a user can act upon."""

import importlib
import os
import zipfile
import zlib
from pathlib import Path

import keras

import keras_dynamonet.models  # noqa: F401  (registers the classes)
from keras_dynamonet.errors import UserError, first_line

_OF_RUNS = (
    "keras_dynamonet.training.schedules",
    "keras_dynamonet.training.fine_tuning",
)
"""Modules that register what the optimizer of a run is made of."""
_OF_ARCHIVES = RuntimeError, NotImplementedError
"""What `zipfile` raises for encrypted entries and unknown compression."""


def load_model(path: str | os.PathLike, compile: bool = True) -> keras.Model:
    """Loads a `.keras` file that this library saved.

    Args:
        path: The file.
        compile: Whether to restore optimizer and losses for further training.

    Returns:
        The model.

    Raises:
        UserError: If the file is missing, damaged, or no `.keras` file.

    Example:

    ```python
    model = keras_dynamonet.load_model("runs/demo/best.keras")
    ```
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such model file. Give the path of a .keras file.")
    if not zipfile.is_zipfile(path):
        raise UserError(
            f"{path}: not a .keras file, or cut short. Save the model again with "
            "model.save('NAME.keras')."
        )
    if compile:
        for module in _OF_RUNS:
            importlib.import_module(module)
    try:
        return keras.saving.load_model(path, compile=compile)
    except (
        *(zipfile.BadZipFile, zlib.error),
        *(KeyError, OSError, RuntimeError, TypeError, ValueError),
    ) as error:
        if isinstance(error, RuntimeError) and type(error) not in _OF_ARCHIVES:
            raise  # of JAX and PyTorch, e.g. for want of memory
        reason = first_line(str(error) or type(error).__name__)
        message = f"{path}: cannot be loaded as a model: {reason[:200]}"
        raise UserError(message) from error
