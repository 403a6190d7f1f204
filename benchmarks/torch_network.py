"""The networks of this library in PyTorch, as fast as plain code makes them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from tests.weights.torch_networks import HaraNet


class TorchClassifier(HaraNet):
    """A :class:`ResNeXt3D` classifier: uint8 clips `(batch, T, H, W, 3)` to logits.

    Args:
        config: Arguments of :class:`ResNeXt3D`, all of them, with those of its stem as
            a dictionary.
    """

    def __init__(self, config: Mapping[str, Any]):
        names = ("block", "expansion", "cardinality", "pre_activation", "shortcut")
        super().__init__(
            config["blocks"],
            config["widths"],
            config["num_classes"],
            config["stem_width"],
            **{name: config[name] for name in names},
        )
        stem = config["stem"]
        self.pools = stem["pool"]
        self.conv1 = nn.Conv3d(
            3,
            config["stem_width"],
            stem["kernel_size"],
            stem["strides"],
            tuple(size // 2 for size in stem["kernel_size"]),
            bias=False,
        )
        for stage, time in enumerate(config["temporal_strides"], start=1):
            space = 1 if stage == 1 else 2
            block = getattr(self, f"layer{stage}")[0]
            (block.conv2 if block.bottleneck else block.conv1).stride = (
                *(time, space, space),
            )
            if block.downsample is not None:
                block.downsample[0].stride = (time, space, space)
        for name in ("mean", "std"):
            values = torch.tensor(config[name]).reshape(1, 3, 1, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Logits `(batch, classes)` of clips in [0, 255]."""
        pixels = clips.permute(0, 4, 1, 2, 3).float() / 255
        x = (pixels - self.mean) / self.std
        x = functional.relu(self.bn1(self.conv1(x)))
        if self.pools:
            x = functional.max_pool3d(x, 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean(dim=(2, 3, 4)))


def load_network(folder: str) -> TorchClassifier:
    """The network of a folder of artefacts, with its weights."""
    config = json.loads((Path(folder) / "config.json").read_text())
    network = TorchClassifier(config)
    weights = load_file(Path(folder) / "weights.safetensors")
    counters = {
        name: value
        for name, value in network.state_dict().items()
        if name.endswith("num_batches_tracked")
    }
    network.load_state_dict({**counters, **weights})
    return network
