"""A classifier of a few thousand weights, with random statistics."""

import keras
import numpy as np

from keras_dynamonet.models.resnext3d import ResNeXt3D


def make_classifier(num_classes=3, seed=0, **changes):
    """A 3D ResNet for clips of 4 frames of 16x16 pixels."""
    model = ResNeXt3D(
        **{
            "depth": 10,
            "num_frames": 4,
            "size": 16,
            "cardinality": 1,
            "widths": (4, 8, 8, 8),
            "stem_width": 4,
            "num_classes": num_classes,
            **changes,
        }
    )
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        if "kernel" in weight.path:
            deviation = (2 / np.prod(weight.shape[:-1])) ** 0.5
            weight.assign(generator.normal(0, deviation, weight.shape))
        else:
            weight.assign(generator.uniform(0.3, 1.0, weight.shape))
    return model


def run(model, clips):
    """The outputs as arrays, without compiling anything."""
    outputs = model(clips, training=False)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


def clips(batch=2, frames=4, size=16):
    """Noise, uint8 `(batch, frames, size, size, 3)`."""
    shape = (batch, frames, size, size, 3)
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")
