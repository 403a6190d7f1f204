from pathlib import Path

import pytest

from keras_dynamonet.weights.checkpoint import Checkpoint
from keras_dynamonet.weights.pixels import choose_pixels


@pytest.mark.parametrize(
    "naming, prefix, beside, expected",
    [
        ("torchvision", "", (), "torchvision"),
        ("torchvision", "module.", (), "torchvision"),
        ("3d-resnets", "module.", ("arch", "epoch", "optimizer"), "minus-mean"),
        ("3d-resnets", "", ("arch", "epoch", "optimizer", "scheduler"), "kinetics"),
        ("3d-resnets", "module.", ("scheduler",), "kinetics"),
        ("3d-resnets", "", (), "kinetics"),
    ],
)
def test_the_convention_follows_from_the_file(naming, prefix, beside, expected):
    file = Checkpoint(Path("net.pth"), "zip", {}, prefix=prefix, beside=beside)
    assert choose_pixels("auto", file, naming)[0] == expected
    assert choose_pixels("torchvision", file, naming)[0] == "torchvision"
