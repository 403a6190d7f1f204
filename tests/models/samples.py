"""A DynamoNet small enough to train within a test, and clips for it."""

import numpy as np

from keras_dynamonet.models import DynamoNet, ResNeXt3D

NUM_FRAMES = 4
SIZE = 16


def tiny_backbone(**arguments):
    """A backbone of 4 frames of 16x16 pixels."""
    return ResNeXt3D(
        **{
            "depth": 10,
            "num_frames": NUM_FRAMES,
            "size": SIZE,
            "cardinality": 1,
            "widths": (4, 4, 8, 8),
            "stem": "small",
            "stem_width": 4,
            "temporal_strides": (1, 2, 2, 1),
            **arguments,
        }
    )


def tiny_dynamonet(num_classes=3, dtype=None, **arguments):
    """A DynamoNet on the tiny backbone."""
    backbone = tiny_backbone(dtype=dtype)
    arguments = {"kernel_size": 3, **arguments}
    return DynamoNet(backbone, num_classes, dtype=dtype, **arguments)


def random_clips(count=4, frames=NUM_FRAMES + 1, seed=0):
    """uint8 clips of noise."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, frames, SIZE, SIZE, 3)).astype("uint8")


def shifted_clips(shifts, frames=NUM_FRAMES + 1, size=SIZE, seed=0):
    """One clip for each `(dy, dx)`: a scene that moves by so many pixels a frame."""
    rng = np.random.default_rng(seed)
    reach = frames * max(abs(step) for shift in shifts for step in shift)
    clips = []
    for dy, dx in shifts:
        noise = rng.random((size + 2 * reach + 1, size + 2 * reach + 1, 1))
        # Neighbours are alike and so are colours, as in pictures.
        grey = (noise[1:] + noise[:-1])[:, 1:] + (noise[1:] + noise[:-1])[:, :-1]
        scene = 255 * grey / 4 * [1.0, 0.8, 0.6]
        corners = [(reach - dy * t, reach - dx * t) for t in range(frames)]
        clips.append([scene[y : y + size, x : x + size] for y, x in corners])
    return np.round(clips).astype("uint8")
