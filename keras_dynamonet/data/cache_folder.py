"""Where files are kept that can be made or fetched again."""

import os
from pathlib import Path

CACHE_VARIABLE = "KERAS_DYNAMONET_CACHE"


def cache_folder() -> Path:
    """`$KERAS_DYNAMONET_CACHE`, or `~/.cache/keras-dynamonet`."""
    configured = os.environ.get(CACHE_VARIABLE)
    return Path(configured or Path.home() / ".cache" / "keras-dynamonet")
