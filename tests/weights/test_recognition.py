import math

import pytest

from keras_dynamonet.weights.layout import torch_shapes
from keras_dynamonet.weights.recognition import naming_of, recognise
from keras_dynamonet.weights.stored_tensor import CheckpointError
from keras_dynamonet.weights.zoo import ARCHITECTURES

# With 400 classes: those of torchvision from its own table of weights, that of
# ResNeXt-101 from the code of 3D-ResNets, the others computed from its layers by hand.
PARAMETERS = {
    "resnext-101": 48_340_816,
    "resnext-101-stem128": 48_431_376,
    "resnext-50": 26_685_264,
    "resnet-18": 33_235_280,
    "resnet-34": 63_544_912,
    "resnet-50": 47_018_576,
    "resnet-101": 86_064_720,
    "r3d_18": 33_371_472,
    "mc3_18": 11_695_440,
    "r2plus1d_18": 31_505_325,
}


def shapes_of(name, num_classes=400):
    naming = "torchvision" if name.endswith("_18") else "3d-resnets"
    return torch_shapes({**ARCHITECTURES[name], "num_classes": num_classes}, naming)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_recognised(name):
    architecture = recognise(shapes_of(name, num_classes=51))
    assert architecture.config == {**ARCHITECTURES[name], "num_classes": 51}
    assert "51 classes" in architecture.description


@pytest.mark.parametrize("name, published", PARAMETERS.items())
def test_parameter_counts_are_the_published_ones(name, published):
    counted = sum(
        math.prod(shape)
        for tensor, shape in shapes_of(name).items()
        if "running" not in tensor
    )
    assert counted == published


def test_resnext101_has_the_published_number_of_tensors():
    shapes = shapes_of("resnext-101")
    assert len(shapes) == 522
    assert sum(len(shape) == 5 for shape in shapes.values()) == 104


def test_a_backbone_without_classifier_has_no_classes():
    shapes = shapes_of("resnet-10", num_classes=None)
    architecture = recognise(shapes)
    assert architecture.config["num_classes"] is None
    assert "no classes" in architecture.description


@pytest.mark.parametrize(
    "name, words",
    [
        ("resnext-101", "ResNeXt-101, cardinality 32"),
        ("preresnet-200", "ResNet-200, pre-activation"),
        ("mc3_18", "MC3-18"),
        ("r2plus1d_18", "R(2+1)D-18"),
        ("resnet-34", "shortcut A"),
    ],
)
def test_says_what_it_recognised(name, words):
    assert words in recognise(shapes_of(name)).description


@pytest.mark.parametrize(
    "change, message",
    [
        ({"conv1.weight": (64, 3, 5, 7, 7)}, "begins with a convolution"),
        ({"conv1.weight": (64, 4, 7, 7, 7)}, "begins with a convolution"),
        ({"layer1.5.conv1.weight": (64,)}, "no blocks layer1.0, layer1.1"),
        ({"layer2.0.conv1.weight": ()}, "unknown shapes"),
        ({"layer1.0.conv1.weight": (0, 0, 3, 3, 3)}, "is empty"),
        ({"layer4.0.conv1.weight": (10**6, 256, 3, 3, 3)}, "looks like|unknown"),
        ({"fc.weight": (10**7, 1)}, "looks like"),
    ],
)
def test_other_tensors_are_refused(change, message):
    with pytest.raises(CheckpointError, match=message):
        recognise({**shapes_of("resnet-10"), **change})


def test_a_missing_stage_is_refused():
    shapes = {k: v for k, v in shapes_of("resnet-10").items() if "layer3" not in k}
    with pytest.raises(CheckpointError, match="no blocks layer3.0"):
        recognise(shapes)


def test_another_network_is_refused():
    with pytest.raises(CheckpointError, match="none of the networks.*blocks.0.attn"):
        naming_of({"blocks.0.attn": (3,), "cls_token": (1,)})
