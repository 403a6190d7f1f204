"""Reference networks in PyTorch, written from the definitions in the papers.

Hara et al., CVPR 2018 (ResNet, ResNeXt, wide, pre-activation; table 1, figure 3), and
Tran et al., CVPR 2018 (R3D, MC3, R(2+1)D; figure 1 and section 3.5). The names of the
parameters are those of the published checkpoints.
"""

import torch
from torch import nn
from torch.nn import functional


def _conv(inputs, outputs, kernel, stride=1, groups=1):
    kernel = (kernel,) * 3 if isinstance(kernel, int) else kernel
    padding = tuple(size // 2 for size in kernel)
    return nn.Conv3d(
        inputs, outputs, kernel, stride, padding, groups=groups, bias=False
    )


def _middle(inputs, outputs):
    """Channels that keep the weights of a 3x3x3 convolution."""
    return (27 * inputs * outputs) // (9 * inputs + 3 * outputs)


class _Factorised(nn.Module):
    """Names and calls of `conv_s, bn_s, relu, conv_t` of 3D-ResNets' R(2+1)D."""

    @staticmethod
    def add(block, number, inputs, outputs, stride=1):
        middle = _middle(inputs, outputs)
        space = _conv(inputs, middle, (1, 3, 3), (1, stride, stride))
        time = _conv(middle, outputs, (3, 1, 1), (stride, 1, 1))
        setattr(block, f"conv{number}_s", space)
        setattr(block, f"bn{number}_s", nn.BatchNorm3d(middle))
        setattr(block, f"conv{number}_t", time)
        setattr(block, f"bn{number}_t", nn.BatchNorm3d(outputs))

    @staticmethod
    def run(block, number, x):
        x = getattr(block, f"conv{number}_s")(x)
        x = functional.relu(getattr(block, f"bn{number}_s")(x))
        return getattr(block, f"bn{number}_t")(getattr(block, f"conv{number}_t")(x))


class HaraBlock(nn.Module):
    def __init__(self, inputs, width, stride, options):
        super().__init__()
        self.options = options
        self.bottleneck = options["block"] == "bottleneck"
        outputs = width * options["expansion"]
        groups = options.get("cardinality", 1)
        if self.bottleneck:
            plan = [
                (inputs, width, 1, 1, 1),
                (width, width, 3, stride, groups),
                (width, outputs, 1, 1, 1),
            ]
        else:
            plan = [(inputs, width, 3, stride, 1), (width, width, 3, 1, 1)]
        self.count = len(plan)
        for number, (before, after, kernel, step, split) in enumerate(plan, start=1):
            if kernel == 3 and options.get("factorised"):
                _Factorised.add(self, number, before, after, step)
                continue
            setattr(self, f"conv{number}", _conv(before, after, kernel, step, split))
            size = before if options.get("pre_activation") else after
            setattr(self, f"bn{number}", nn.BatchNorm3d(size))
        self.stride, self.outputs = stride, outputs
        changes = stride != 1 or inputs != outputs
        self.pads = changes and options["shortcut"] == "A"
        self.downsample = None
        if changes and not self.pads:
            self.downsample = nn.Sequential(
                _conv(inputs, outputs, 1, stride), nn.BatchNorm3d(outputs)
            )

    def _shortcut(self, x):
        if self.downsample is not None:
            return self.downsample(x)
        if not self.pads:
            return x
        x = x[:, :, :: self.stride, :: self.stride, :: self.stride].detach()
        missing = self.outputs - x.shape[1]
        return functional.pad(x, (0, 0, 0, 0, 0, 0, 0, missing))

    def forward(self, x):
        y = x
        for number in range(1, self.count + 1):
            if self.options.get("pre_activation"):
                y = functional.relu(getattr(self, f"bn{number}")(y))
                y = getattr(self, f"conv{number}")(y)
                continue
            if hasattr(self, f"conv{number}"):
                y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y))
            else:
                y = _Factorised.run(self, number, y)
            if number < self.count:
                y = functional.relu(y)
        y = y + self._shortcut(x)
        return y if self.options.get("pre_activation") else functional.relu(y)


class HaraNet(nn.Module):
    """3D ResNet, ResNeXt, wide, pre-activation or R(2+1)D of 3D-ResNets-PyTorch."""

    def __init__(self, blocks, widths, num_classes=400, stem_width=64, **options):
        super().__init__()
        options = {"expansion": 1, "shortcut": "B", **options}
        self.factorised = options.get("factorised", False)
        if self.factorised:
            middle = (3 * stem_width * 7**3) // (3 * 7**2 + 7 * stem_width)
            self.conv1_s = _conv(3, middle, (1, 7, 7), (1, 2, 2))
            self.bn1_s = nn.BatchNorm3d(middle)
            self.conv1_t = _conv(middle, stem_width, (7, 1, 1))
            self.bn1_t = nn.BatchNorm3d(stem_width)
        else:
            self.conv1 = _conv(3, stem_width, 7, (1, 2, 2))
            self.bn1 = nn.BatchNorm3d(stem_width)
        channels = stem_width
        for stage, (count, width) in enumerate(
            zip(blocks, widths, strict=True), start=1
        ):
            layers = []
            for index in range(count):
                stride = 2 if stage > 1 and index == 0 else 1
                layers.append(HaraBlock(channels, width, stride, options))
                channels = width * options["expansion"]
            setattr(self, f"layer{stage}", nn.Sequential(*layers))
        self.fc = nn.Linear(channels, num_classes)

    def endpoints(self, x):
        if self.factorised:
            x = functional.relu(_Factorised.run(self, 1, x))
        else:
            x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool3d(x, 3, 2, 1)
        found = {"stem": x}
        for stage in range(1, 5):
            x = found[f"stage{stage}"] = getattr(self, f"layer{stage}")(x)
        found["feature"] = x.mean(dim=(2, 3, 4))
        found["logits"] = self.fc(found["feature"])
        return found


class TranBlock(nn.Module):
    def __init__(self, inputs, width, stride, kind):
        super().__init__()
        middle = _middle(inputs, width)  # of both convolutions
        steps = (1 if kind == "2d" else stride, stride, stride)

        def conv(before, steps):
            if kind == "(2+1)d":
                return nn.Sequential(
                    _conv(before, middle, (1, 3, 3), (1, *steps[1:])),
                    nn.BatchNorm3d(middle),
                    nn.ReLU(),
                    _conv(middle, width, (3, 1, 1), (steps[0], 1, 1)),
                )
            return _conv(before, width, (1, 3, 3) if kind == "2d" else 3, steps)

        self.conv1 = nn.Sequential(
            conv(inputs, steps), nn.BatchNorm3d(width), nn.ReLU()
        )
        self.conv2 = nn.Sequential(conv(width, (1, 1, 1)), nn.BatchNorm3d(width))
        self.downsample = None
        if stride != 1 or inputs != width:
            self.downsample = nn.Sequential(
                _conv(inputs, width, 1, steps), nn.BatchNorm3d(width)
            )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        return functional.relu(self.conv2(self.conv1(x)) + shortcut)


class TranNet(nn.Module):
    """R3D, MC3 or R(2+1)D of 18 layers, with torchvision's names."""

    def __init__(self, kinds, widths=(64, 128, 256, 512), num_classes=400):
        super().__init__()
        if kinds[0] == "(2+1)d":
            self.stem = nn.Sequential(
                _conv(3, 45, (1, 7, 7), (1, 2, 2)),
                nn.BatchNorm3d(45),
                nn.ReLU(),
                _conv(45, widths[0], (3, 1, 1)),
                nn.BatchNorm3d(widths[0]),
                nn.ReLU(),
            )
        else:
            self.stem = nn.Sequential(
                _conv(3, widths[0], (3, 7, 7), (1, 2, 2)),
                nn.BatchNorm3d(widths[0]),
                nn.ReLU(),
            )
        channels = widths[0]
        for stage, (kind, width) in enumerate(zip(kinds, widths, strict=True), start=1):
            first = TranBlock(channels, width, 1 if stage == 1 else 2, kind)
            second = TranBlock(width, width, 1, kind)
            setattr(self, f"layer{stage}", nn.Sequential(first, second))
            channels = width
        self.fc = nn.Linear(channels, num_classes)

    def endpoints(self, x):
        x = self.stem(x)
        found = {"stem": x}
        for stage in range(1, 5):
            x = found[f"stage{stage}"] = getattr(self, f"layer{stage}")(x)
        found["feature"] = x.mean(dim=(2, 3, 4))
        found["logits"] = self.fc(found["feature"])
        return found


def randomise(network, seed=0):
    """Random weights and statistics that keep activations of every layer near 1."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            fan_in = module.weight[0].numel()
            module.weight.data.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
        elif isinstance(module, nn.BatchNorm3d):
            module.weight.data.uniform_(0.5, 1.0, generator=generator)
            module.bias.data.normal_(0, 0.2, generator=generator)
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.8, 1.5, generator=generator)
    return network.eval()
