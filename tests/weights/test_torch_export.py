import keras
import numpy as np
import pytest

from keras_dynamonet.errors import UserError
from keras_dynamonet.models.dynamonet import DynamoNet
from keras_dynamonet.weights import (
    ARCHITECTURES,
    export_state_dict,
    import_checkpoint,
    read_checkpoint,
)
from tests.weights.small_models import clips, make_classifier, run

TINY = {"widths": (4, 8, 8, 8), "stem_width": 4}


def architecture(name):
    config = {**ARCHITECTURES[name], **TINY, "blocks": (1, 1, 1, 1)}
    if config["cardinality"] > 1:
        config["cardinality"] = 2
    return config


@pytest.mark.parametrize(
    "name",
    [
        *("resnet-18", "resnet-50", "resnext-101", "preresnet-200"),
        *("r2p1d18", "mc3_18", "r2plus1d_18"),
    ],
)
def test_round_trip_is_exact(name, tmp_path):
    model = make_classifier(
        **architecture(name),
        class_names=["a", "ä", "c"],
        fps=12.5,
        mean=(0.1, 0.2, 0.3),
        std=(0.4, 0.5, 0.6),
    )
    path = tmp_path / "net.safetensors"
    names = export_state_dict(model, path)
    result = import_checkpoint(path)
    assert result.pixels == "stored"
    assert list(read_checkpoint(path).tensors) == names
    assert set(result.report.counts().items()) >= {("unused", 0), ("missing", 0)}
    for old, new in zip(model.weights, result.model.weights, strict=True):
        assert old.path == new.path
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (old, new)))
    left_out = ("name", "trainable", "dtype")
    old, new = model.get_config(), result.model.get_config()
    assert {k: v for k, v in old.items() if k not in left_out} == {
        k: v for k, v in new.items() if k not in left_out
    }


def test_small_stem_of_this_library_comes_back(tmp_path):
    model = make_classifier(stem="small")
    export_state_dict(model, tmp_path / "net.safetensors")
    back = import_checkpoint(tmp_path / "net.safetensors").model
    np.testing.assert_array_equal(run(model, clips()), run(back, clips()))


def test_of_a_dynamonet_the_backbone_is_written(tmp_path):
    model = DynamoNet.from_backbone(make_classifier())
    names = export_state_dict(model, tmp_path / "net.safetensors")
    assert "conv1.weight" in names and "fc.weight" not in names
    assert import_checkpoint(tmp_path / "net.safetensors").model.num_classes is None


def test_pytorch_loads_the_state_dict(tmp_path):
    pytest.importorskip("torch")
    package = pytest.importorskip("safetensors.torch")
    from tests.weights.torch_networks import HaraNet

    model = make_classifier()
    export_state_dict(model, tmp_path / "net.safetensors")
    network = HaraNet((1, 1, 1, 1), (4, 8, 8, 8), 3, 4, block="basic")
    network.load_state_dict(package.load_file(tmp_path / "net.safetensors"))
    kernel = keras.ops.convert_to_numpy(model.get_layer("stem_conv").conv.kernel)
    np.testing.assert_array_equal(
        network.conv1.weight.detach().numpy(), kernel.transpose(4, 3, 0, 1, 2)
    )


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"stc_ratio": 2}, "stc_ratio=2.*no names in PyTorch"),
        ({"folded": True}, "folded=True.*no names in PyTorch"),
    ],
)
def test_networks_without_counterpart_are_refused(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        export_state_dict(make_classifier(**changes), tmp_path / "net.safetensors")


def test_unknown_naming_and_models_are_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    with pytest.raises(UserError, match="naming 'timm' is unknown"):
        export_state_dict(make_classifier(), path, naming="timm")
    with pytest.raises(UserError, match="A Sequential has no names in PyTorch"):
        export_state_dict(keras.Sequential(), path)
