"""Tiny networks with weights as after training, and clips that move."""

import keras
import numpy as np

from keras_dynamonet import DynamoNet

TINY = {
    "depth": 10,
    "size": 16,
    "num_frames": 4,
    "block": "bottleneck",
    "cardinality": 4,
    "widths": (8, 8, 16, 16),
    "expansion": 2,
    "stem_width": 8,
}
STEMS = {"small": {"stem": "small"}, "pooled": {"stem": "7x7x7", "size": 32}}


def tiny_network(stem="small", seed=0, backbone=None, **kwargs):
    """A network in which every weight and statistic matters."""
    kwargs.setdefault("kernel_size", 3)
    keras.utils.set_random_seed(seed)
    names = ["climb", "jump", "run", "throw", "walk"]
    num_classes = kwargs.pop("num_classes", len(names))
    network = DynamoNet.from_preset(
        "nano-16f",
        num_classes=num_classes,
        backbone={**TINY, **STEMS[stem], **(backbone or {})},
        class_names=names if num_classes > 1 else None,
        fps=12.0,
        **kwargs,
    )
    randomise(network, seed)
    return network


def randomise(network, seed=0):
    """Replaces zeros and ones of fresh weights by values that tests can see."""
    rng = np.random.default_rng(seed)
    for weight in network.weights:
        value = np.asarray(weight.value, "float32")
        if weight.name == "moving_variance":
            scale = 3e-2 if "standardize" in weight.path else 1.0
            value = scale * rng.uniform(0.5, 1.5, value.shape)
        elif weight.name in ("gamma", "persistence"):
            value = rng.uniform(0.5, 1.5, value.shape) * (value.mean() or 1.0)
        elif not value.any():
            value = rng.normal(0.0, 0.1, value.shape)
        weight.assign(value)


def moving_clips(count, frames, size, seed=0):
    """Noisy textures that drift, uint8 `(count, frames, size, size, 3)`."""
    rng = np.random.default_rng(seed)
    clips = np.empty((count, frames, size, size, 3), "uint8")
    for clip in clips:
        coarse = rng.uniform(0, 255, (size // 4 + 1, size // 4 + 1, 3))
        picture = np.kron(coarse, np.ones((4, 4, 1)))[:size, :size]
        for _ in range(2):
            picture = (picture + np.roll(picture, 1, 0) + np.roll(picture, 1, 1)) / 3
        picture = picture + rng.normal(0, 20, picture.shape)
        step = rng.integers(-2, 3, 2)
        for frame in range(frames):
            shifted = np.roll(picture, step * frame, axis=(0, 1))
            shifted = shifted + rng.normal(0, 3, picture.shape)
            clip[frame] = np.clip(np.rint(shifted), 0, 255)
    return clips


def sure_clips(network, clips, count):
    """The clips with the largest distance between the first and the second class.

    Random networks often hesitate, and then any rounding decides.
    """
    logits = np.asarray(network(clips, training=False)["logits"])
    first, second = np.sort(logits, axis=1)[:, :-3:-1].T
    return clips[np.argsort(second - first)[:count]]
