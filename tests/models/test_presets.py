import pytest

from keras_dynamonet import PRESETS, DynamoNet
from keras_dynamonet.models.presets import CLIP_LENGTHS, preset_config


def test_the_table_has_every_architecture_at_every_length():
    assert CLIP_LENGTHS == (16, 32, 64)
    names = ("nano", "resnet18", "resnext50", "resnext101", "stc-resnext101")
    assert {f"{name}-{length}f" for name in names for length in CLIP_LENGTHS} <= set(
        PRESETS
    )


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds(name):
    # One block a stage: the depth is a number, and takes most of the time.
    model = DynamoNet.from_preset(
        name, num_classes=3, size=32, backbone={"blocks": (1, 1, 1, 1)}
    )
    frames = int(name.rsplit("-", 1)[1].removesuffix("f"))
    assert (model.num_frames, model.frame_size) == (frames, (32, 32))
    assert (
        model.backbone.output["stage4"].shape[-1]
        == model.backbone.output["feature"].shape[-1]
    )


def test_preset_config_is_a_copy():
    preset_config("nano-16f")["depth"] = 0
    assert PRESETS["nano-16f"]["depth"] > 0


def test_unknown_names_raise():
    with pytest.raises(
        ValueError, match="There is no preset of that name. Known: nano"
    ):
        DynamoNet.from_preset("giant-16f", num_classes=3)
