"""Writes `.keras` files without a second copy of the weights in memory."""

import datetime
import json
import zipfile
from pathlib import Path

import keras

from keras_dynamonet.files import atomic_path


def save_keras_file(model: keras.Model, path: str | Path) -> None:
    """Saves an uncompiled model; what `keras.saving.load_model` reads.

    `model.save` puts the weights together in memory before it writes them. Here they go
    to a file beside `path` first, and from there into the archive.

    Args:
        model: The model.
        path: A name that ends in `.keras`.
    """
    metadata = {
        "keras_version": keras.__version__,
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
    }
    config = keras.saving.serialize_keras_object(model)
    with atomic_path(path) as temporary:
        weights = temporary.with_suffix(".weights.h5")
        try:
            model.save_weights(weights)
            with zipfile.ZipFile(temporary, "w") as archive:
                archive.writestr("metadata.json", json.dumps(metadata))
                archive.writestr("config.json", json.dumps(config))
                archive.write(weights, "model.weights.h5")
        finally:
            weights.unlink(missing_ok=True)
