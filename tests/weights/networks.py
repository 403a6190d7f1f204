"""Small networks of every published kind, with random weights."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.weights.torch_networks import HaraNet, TranNet, randomise  # noqa: E402

BASIC = {"block": "basic"}
BOTTLENECK = {"block": "bottleneck", "expansion": 4}
NARROW = (8, 16, 24, 32)

NETWORKS = {
    "resnet, shortcut A": lambda: HaraNet(
        (1, 2, 1, 1), NARROW, 10, 8, shortcut="A", **BASIC
    ),
    "resnet, shortcut B": lambda: HaraNet((1, 1, 1, 1), NARROW, 10, 8, **BASIC),
    "bottlenecks": lambda: HaraNet((1, 2, 1, 1), NARROW, 10, 8, **BOTTLENECK),
    "wide": lambda: HaraNet(
        (1, 1, 1, 1), (16, 32, 48, 64), 10, 8, block="bottleneck", expansion=2
    ),
    "resnext": lambda: HaraNet(
        (1, 2, 1, 1),
        (16, 32, 64, 64),
        10,
        16,
        block="bottleneck",
        expansion=2,
        cardinality=4,
    ),
    "pre-activation": lambda: HaraNet(
        (1, 2, 1, 1), NARROW, 10, 8, pre_activation=True, **BOTTLENECK
    ),
    "pre-activation, shortcut A": lambda: HaraNet(
        (1, 2, 1, 1), NARROW, 10, 8, pre_activation=True, shortcut="A", **BASIC
    ),
    "r2p1d": lambda: HaraNet((1, 1, 1, 1), NARROW, 10, factorised=True, **BASIC),
    "r2p1d, bottlenecks": lambda: HaraNet(
        (1, 2, 1, 1), NARROW, 10, factorised=True, **BOTTLENECK
    ),
    "r3d_18": lambda: TranNet(("3d",) * 4, NARROW, 10),
    "mc3_18": lambda: TranNet(("3d", "2d", "2d", "2d"), NARROW, 10),
    "r2plus1d_18": lambda: TranNet(("(2+1)d",) * 4, NARROW, 10),
}


def make_network(name="resnet, shortcut B", seed=0):
    """A network of the table with random weights, for evaluation."""
    return randomise(NETWORKS[name](), seed)


def random_clips(batch=2, frames=8, size=32, seed=0):
    """Noise, uint8 `(batch, frames, size, size, 3)`."""
    shape = (batch, frames, size, size, 3)
    return np.random.default_rng(seed).integers(0, 256, shape).astype("uint8")


def normalised(clips, convention):
    """The clips as PyTorch's network expects them, `(batch, 3, frames, ...)`."""
    pixels = (clips / 255 - np.array(convention.mean)) / np.array(convention.std)
    return torch.tensor(pixels.transpose(0, 4, 1, 2, 3), dtype=torch.float32)


def channels_last(tensor):
    """A tensor of PyTorch as an array with the channels last."""
    array = tensor.detach().numpy()
    return array.transpose(0, 2, 3, 4, 1) if array.ndim == 5 else array
