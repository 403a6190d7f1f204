import json
import re

import keras
import numpy as np
import pytest

from keras_dynamonet.models import ResNeXt3D
from keras_dynamonet.models.resnext3d import DEPTHS, middle_channels
from tests.helpers import randomise_weights, save_and_load

TINY = {
    "depth": 10,
    "num_frames": 4,
    "size": 16,
    "cardinality": 2,
    "block": "bottleneck",
    "widths": (4, 4, 8, 8),
    "stem": "small",
    "stem_width": 4,
}


def trainable_parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def clips(dtype="uint8", size=16):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, size, size, 3))
    return pixels.astype(dtype)


def test_depth_101_has_the_published_size_and_shapes():
    model = ResNeXt3D(101, num_classes=400)
    assert trainable_parameters(model) == 48_340_816
    assert {name: t.shape[1:] for name, t in model.endpoints.items()} == {
        "stem": (8, 28, 28, 64),
        "stage1": (8, 28, 28, 256),
        "stage2": (4, 14, 14, 512),
        "stage3": (2, 7, 7, 1024),
        "stage4": (1, 4, 4, 2048),
        "feature": (2048,),
    }
    assert model.get_layer("stem_conv").output.shape[1:] == (16, 56, 56, 64)
    assert model.output.shape == (None, 400)
    convolutions = [w for w in model.weights if w.path.endswith("conv/kernel")]
    assert len(convolutions) == 104


@pytest.mark.parametrize(
    ("depth", "arguments", "millions"),
    [
        (18, {"cardinality": 1, "shortcut": "A"}, 33.24),
        (34, {"cardinality": 1, "shortcut": "A"}, 63.54),
        (50, {"cardinality": 1}, 47.02),
        (50, {"cardinality": 32}, 26.69),
    ],
)
def test_parameters_are_those_of_the_published_networks(depth, arguments, millions):
    model = ResNeXt3D(depth, num_classes=400, size=32, **arguments)
    assert trainable_parameters(model) == pytest.approx(millions * 1e6, abs=5e3)


def test_blocks_of_every_depth():
    # Layers with weights on the longest path: stem, blocks, classifier.
    for depth, (block, blocks) in DEPTHS.items():
        convolutions = 2 if block == "basic" else 3
        assert 2 + convolutions * sum(blocks) == depth


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"stc_ratio": 2},
        {"shortcut": "A", "expansion": 4},
        {"block": "basic", "cardinality": 1, "stem": "3x7x7", "zero_gamma": True},
        {"stem": "7x7x7", "temporal_strides": (1, 1, 1, 2)},
        {"convolution": "(2+1)d", "stem": "small (2+1)d", "cardinality": 1},
        {
            "block": "basic",
            "cardinality": 1,
            "convolution": "(2+1)d",
            "shared_middle": True,
        },
        {"convolution": ("3d", "2d", "2d", "2d"), "stem": "(2+1)d"},
        {"pre_activation": True},
        {"size": (16, 24), "folded": True, "form": "stacked"},
    ],
    ids=lambda arguments: "-".join(arguments) or "plain",
)
def test_variants_give_their_static_shapes_and_survive_a_file(arguments, tmp_path):
    model = ResNeXt3D(**{**TINY, **arguments})
    randomise_weights(model)
    height, width = model.frame_size
    inputs = keras.random.uniform((2, 4, height, width, 3), 0, 255, seed=0)
    outputs = model(inputs)
    for name, tensor in model.endpoints.items():
        assert outputs[name].shape == (2, *tensor.shape[1:]), name
        assert np.isfinite(outputs[name]).all(), name
    loaded = save_and_load(model, tmp_path / "backbone.keras")
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(loaded(inputs)["feature"], outputs["feature"])


def test_stem_and_stages_halve_the_frame():
    shapes = {name: t.shape[1:-1] for name, t in ResNeXt3D(**TINY).endpoints.items()}
    assert shapes == {
        "stem": (4, 8, 8),
        "stage1": (4, 8, 8),
        "stage2": (2, 4, 4),
        "stage3": (1, 2, 2),
        "stage4": (1, 1, 1),
        "feature": (),
    }


def test_feature_is_the_mean_of_the_last_stage():
    outputs = ResNeXt3D(**TINY)(clips())
    expected = np.mean(outputs["stage4"], axis=(1, 2, 3))
    np.testing.assert_allclose(outputs["feature"], expected, atol=1e-6)


def test_integers_and_floats_mean_the_same_pixels():
    model = ResNeXt3D(**TINY)
    outputs = model(clips("uint8"))["feature"], model(clips("float32"))["feature"]
    np.testing.assert_array_equal(*outputs)


def test_classifier_keeps_its_names_and_returns_float32_logits(tmp_path):
    names = ["run", "walk", "sit"]
    model = ResNeXt3D(
        **TINY, num_classes=3, class_names=names, fps=12.0, dtype="mixed_bfloat16"
    )
    assert model(clips()).dtype == "float32"
    assert model.endpoints["feature"].dtype == "bfloat16"
    model = save_and_load(model, tmp_path / "classifier.keras")
    assert (model.num_classes, model.class_names, model.fps) == (3, names, 12.0)
    assert model.endpoints["feature"].dtype == "bfloat16"


def test_trains_as_a_plain_keras_model():
    # Of the 16 pixels of TINY the last stage keeps one: normalised over two clips it
    # is either of two values, whatever the weights before it are.
    model = ResNeXt3D(**{**TINY, "size": 32}, num_classes=3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, run_eagerly=True)
    before = [weight.numpy() for weight in model.trainable_weights]
    model.fit(clips(size=32), np.array([0, 2]), verbose=0)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert np.any(weight.numpy() != old), weight.path


def test_config_survives_json():
    model = ResNeXt3D(**TINY, num_classes=2, name="net", trainable=False)
    config = json.loads(json.dumps(model.get_config()))
    clone = ResNeXt3D.from_config(config)
    assert clone.get_config() == model.get_config()
    assert (clone.name, clone.trainable) == ("net", False)


@pytest.mark.parametrize(
    ("block", "shared", "expected"),
    [
        # 27 * 64 * 128 weights // (9 * 64 + 3 * 128) weights a channel.
        ("basic", False, (230, 288)),
        ("basic", True, (230, 230)),
        ("bottleneck", False, (288,)),
        ("bottleneck", True, (230,)),
    ],
)
def test_factorised_convolutions_keep_the_number_of_weights(block, shared, expected):
    config = {"block": block, "shared_middle": shared}
    assert middle_channels(64, 128, config) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 42}, "`depth` must be one of"),
        ({"stem": "9x9x9"}, "`stem` must be one of"),
        ({"block": "wide"}, "`block` must be one of"),
        ({"convolution": "4d"}, "`convolution` must be one of"),
        ({"widths": (4, 4, 8)}, "`widths` must have an entry for each of the four"),
        ({"blocks": (1, 1)}, "`blocks` must have an entry for each of the four"),
        ({"cardinality": 3}, "`groups` must divide `filters`"),
        ({"shortcut": "C"}, "`shortcut` must be one of"),
        ({"form": "fast"}, "`form` must be one of"),
        (
            {"num_classes": 3, "class_names": ["run"]},
            "`class_names` must have `num_classes` entries. "
            "Received: 1 names, num_classes=3",
        ),
    ],
)
def test_wrong_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ResNeXt3D(**{**TINY, **arguments})
