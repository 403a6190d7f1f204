"""Published checkpoints and the architectures they belong to: tables."""

from dataclasses import dataclass

from keras_dynamonet.models.resnext3d import DEPTHS


def _architecture(depth, **changes):
    """All arguments of `ResNeXt3D` that weights determine; by default a 3D ResNet."""
    block, blocks = DEPTHS[depth]
    return {
        "depth": depth,
        "cardinality": 1,
        "widths": (64, 128, 256, 512),
        "expansion": 1 if block == "basic" else 4,
        "blocks": blocks,
        "block": block,
        "stem": "7x7x7",
        "stem_width": 64,
        "convolution": ("3d",) * 4,
        "shared_middle": False,
        "pre_activation": False,
        "temporal_strides": (1, 2, 2, 2),
        "shortcut": "B",
    } | changes


_DOUBLE = (128, 256, 512, 1024)
_FACTORISED = {"convolution": ("(2+1)d",) * 4, "stem": "(2+1)d"}

ARCHITECTURES = {
    "resnet-10": _architecture(10, shortcut="A"),
    "resnet-18": _architecture(18, shortcut="A"),
    "resnet-34": _architecture(34, shortcut="A"),
    "resnet-50": _architecture(50),
    "resnet-101": _architecture(101),
    "resnet-152": _architecture(152),
    "resnet-200": _architecture(200),
    "preresnet-200": _architecture(200, pre_activation=True),
    "wideresnet-50": _architecture(50, widths=_DOUBLE, expansion=2),
    "resnext-50": _architecture(50, widths=_DOUBLE, expansion=2, cardinality=32),
    "resnext-101": _architecture(101, widths=_DOUBLE, expansion=2, cardinality=32),
    "resnext-101-stem128": _architecture(
        101, widths=_DOUBLE, expansion=2, cardinality=32, stem_width=128
    ),
    "r3d18": _architecture(18),
    "r3d34": _architecture(34),
    "r2p1d18": _architecture(18, **_FACTORISED),
    "r2p1d34": _architecture(34, **_FACTORISED),
    "r2p1d50": _architecture(50, **_FACTORISED),
    "r3d_18": _architecture(18, stem="3x7x7"),
    "mc3_18": _architecture(
        18,
        stem="3x7x7",
        convolution=("3d", "2d", "2d", "2d"),
        temporal_strides=(1, 1, 1, 1),
    ),
    "r2plus1d_18": _architecture(
        18,
        stem="small (2+1)d",
        convolution=("(2+1)d",) * 4,
        shared_middle=True,
    ),
}
"""Networks with published weights, as arguments of `ResNeXt3D`.

The first ten are the 3D-ResNets of 2018, `r3d` and `r2p1d` those of 2020 (from depth 50
on `r3d` is `resnet`), and the last three torchvision's, under its own names.
"""


@dataclass(frozen=True)
class PublishedCheckpoint:
    """A checkpoint that others published.

    Args:
        file: Name of the file.
        arch: Key of `ARCHITECTURES`.
        num_classes: Classes of its classifier.
        published: Accuracy in the words of its source; empty if it gives none.
        source: Who published file and accuracy.
        num_frames: Frames of the clips that it was trained on.
    """

    file: str
    arch: str
    num_classes: int
    published: str
    source: str
    num_frames: int = 16

    @property
    def command(self) -> str:
        """The command that imports it."""
        frames = "" if self.num_frames == 16 else f" --frames {self.num_frames}"
        out = self.file.replace(".pth", ".keras")
        return f"dynamonet import-weights {self.file} --out {out}{frames}"


_HARA_2018 = "3D-ResNets-PyTorch, CVPR 2018 (MIT)"
_HARA_2020 = "3D-ResNets-PyTorch, 2020 (MIT)"
_TORCHVISION = "torchvision (BSD-3-Clause)"
_MEAN = "Kinetics-400, mean of top-1 and top-5: {}"
_TOP = "Kinetics-400, top-1 {}, top-5 {}"

CHECKPOINTS = (
    *(
        PublishedCheckpoint(
            f"{arch}-kinetics.pth", arch, 400, _MEAN.format(mean), _HARA_2018
        )
        for arch, mean in {
            "resnet-18": 66.1,
            "resnet-34": 71.0,
            "resnet-50": 72.2,
            "resnet-101": 73.3,
            "resnet-152": 73.7,
            "resnet-200": 73.7,
            "preresnet-200": 73.4,
            "wideresnet-50": 74.7,
            "resnext-101": 75.4,
        }.items()
    ),
    PublishedCheckpoint(
        "resnext-101-64f-kinetics.pth",
        "resnext-101",
        400,
        "Kinetics-400 test, mean of top-1 and top-5: 78.4",
        _HARA_2018,
        num_frames=64,
    ),
    *(
        PublishedCheckpoint(
            f"resnext-101-{length}kinetics-{data.lower()}_split1.pth",
            "resnext-101",
            classes,
            f"{data}, mean of three splits: {accuracy}" if accuracy else "",
            _HARA_2018,
            num_frames=frames,
        )
        for length, frames, data, classes, accuracy in (
            ("", 16, "UCF101", 101, 90.7),
            ("", 16, "HMDB51", 51, None),
            ("64f-", 64, "UCF101", 101, 94.5),
            ("64f-", 64, "HMDB51", 51, 70.2),
        )
    ),
    *(
        PublishedCheckpoint(f"{name}_K_200ep.pth", arch, 700, "", _HARA_2020)
        for name, arch in {
            "r3d18": "r3d18",
            "r3d34": "r3d34",
            "r3d50": "resnet-50",
            "r3d101": "resnet-101",
            "r3d152": "resnet-152",
            "r3d200": "resnet-200",
            "r2p1d18": "r2p1d18",
            "r2p1d34": "r2p1d34",
            "r2p1d50": "r2p1d50",
        }.items()
    ),
    PublishedCheckpoint(
        "r3d_18-b3b3357e.pth", "r3d_18", 400, _TOP.format(63.200, 83.479), _TORCHVISION
    ),
    PublishedCheckpoint(
        "mc3_18-a90a0ba3.pth", "mc3_18", 400, _TOP.format(63.960, 84.130), _TORCHVISION
    ),
    PublishedCheckpoint(
        "r2plus1d_18-91a641e6.pth",
        "r2plus1d_18",
        400,
        _TOP.format(67.463, 86.175),
        _TORCHVISION,
    ),
)
