"""Human action recognition with DynamoNet in Keras 3.

>>> from keras_dynamonet import DynamoNet
>>> model = DynamoNet.from_preset("nano-16f", num_classes=8)

Importing a name below imports Keras and registers every layer for
`keras.saving.load_model`; `keras_dynamonet.load_model` does both. The bare package
stays light, so that the command line answers at once and processes that only render or
decode never load TensorFlow.
"""

import importlib
import os
import platform
import sys

from keras_dynamonet.version import __version__

_LAZY = {
    "DynamoNet": "keras_dynamonet.models",
    "PRESETS": "keras_dynamonet.models",
    "ResNeXt3D": "keras_dynamonet.models",
    "layers": "keras_dynamonet.layers",
    "load_model": "keras_dynamonet.models.loading",
    "losses": "keras_dynamonet.losses",
    "metrics": "keras_dynamonet.metrics",
    "models": "keras_dynamonet.models",
    "weights": "keras_dynamonet.weights",
}

__all__ = [*sorted(_LAZY), "__version__"]


def __getattr__(name):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_LAZY[name])
    if _LAZY[name] == f"{__name__}.{name}":
        return module
    return getattr(module, name)


def __dir__():
    return sorted({*globals(), *_LAZY})


if platform.machine() in ("x86_64", "AMD64"):
    # On processors without VNNI TensorFlow leaves oneDNN's kernels off, with which a
    # training step of these networks takes half of the time. It reads this once, when
    # it is imported; who has set it, or imported TensorFlow before, has the last word.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

if "keras" in sys.modules:
    # The price is paid already: register, so that `load_model` of Keras works, too.
    importlib.import_module("keras_dynamonet.models")
