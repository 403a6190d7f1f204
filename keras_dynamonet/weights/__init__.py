"""Published PyTorch weights in Keras, and Keras weights in PyTorch."""

from keras_dynamonet.weights.checkpoint import Checkpoint, read_checkpoint
from keras_dynamonet.weights.report import TensorEntry, TensorReport
from keras_dynamonet.weights.torch_export import export_state_dict
from keras_dynamonet.weights.torch_import import (
    ImportedModel,
    import_checkpoint,
    load_torch_checkpoint,
)
from keras_dynamonet.weights.zoo import ARCHITECTURES, CHECKPOINTS

__all__ = [
    "ARCHITECTURES",
    "CHECKPOINTS",
    "Checkpoint",
    "ImportedModel",
    "TensorEntry",
    "TensorReport",
    "export_state_dict",
    "import_checkpoint",
    "load_torch_checkpoint",
    "read_checkpoint",
]
