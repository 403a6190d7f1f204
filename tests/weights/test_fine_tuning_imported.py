"""Imported classifiers are where training, evaluation and prediction start from."""

import keras
import numpy as np
import pytest

from keras_dynamonet.models.dynamonet import DynamoNet
from keras_dynamonet.models.resnext3d import ResNeXt3D
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.fine_tuning import LayerwiseAdamW, LayerwiseSGD
from keras_dynamonet.training.model_setup import build_model, compile_model
from keras_dynamonet.training.trained_model import load_trained_model
from tests.weights.small_models import clips, make_classifier, run


def test_a_dynamonet_keeps_the_logits_of_the_classifier():
    classifier = make_classifier(class_names=["a", "b", "c"], fps=8.0)
    model = DynamoNet.from_backbone(classifier)
    assert (model.class_names, model.fps) == (["a", "b", "c"], 8.0)
    expected = run(classifier, clips())
    found = run(model, clips())["logits"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_dynamonet_has_weights_of_its_own():
    classifier = make_classifier()
    model = DynamoNet.from_backbone(classifier)
    model.backbone.weights[0].assign(model.backbone.weights[0] + 1.0)
    assert not np.allclose(classifier.weights[0], model.backbone.weights[0])


@pytest.mark.parametrize(
    "arguments",
    [{"num_classes": 5}, {"class_names": ["x", "y", "z"]}],
)
def test_other_classes_get_a_fresh_head(arguments):
    classifier = make_classifier(class_names=["a", "b", "c"])
    model = DynamoNet.from_backbone(classifier, **arguments)
    old, new = classifier.get_layer("action").kernel, model.action.kernel
    assert model.num_classes == arguments.get("num_classes", 3)
    assert not np.allclose(old[:, :3], new[: old.shape[0], :3])


def test_a_backbone_needs_a_number_of_classes():
    backbone = make_classifier(num_classes=None)
    with pytest.raises(ValueError, match="`num_classes` is needed"):
        DynamoNet.from_backbone(backbone)
    assert DynamoNet.from_backbone(backbone, 2).num_classes == 2


def test_class_names_must_match_the_classes():
    with pytest.raises(ValueError, match="`class_names` must have `num_classes`"):
        make_classifier(class_names=["a"])


def test_an_imported_classifier_can_be_evaluated(tmp_path):
    classifier = make_classifier()
    classifier.save(tmp_path / "net.keras")
    trained = load_trained_model(tmp_path / "net.keras", stride=1)
    assert trained.class_names == ["class_0", "class_1", "class_2"]
    np.testing.assert_allclose(
        run(trained.model, clips())["logits"],
        run(classifier, clips()),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("num_classes", [3, None])
def test_training_starts_from_an_imported_network(num_classes, tmp_path):
    source = make_classifier(num_classes=num_classes)
    source.save(tmp_path / "net.keras")
    config = TrainConfig(
        init=str(tmp_path / "net.keras"),
        freeze="stage3",
        frozen_norm="adapting",
        layer_decay=0.5,
        optimizer="sgd",
    )
    model = build_model(config, ["x", "y"])
    assert model.class_names == ["x", "y"]
    for old, new in zip(source.weights, model.backbone.weights, strict=False):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(old), keras.ops.convert_to_numpy(new)
        )
    compile_model(model, config, steps_per_epoch=2)
    assert isinstance(model.optimizer, LayerwiseSGD)
    trained = {v.path.split("/")[0] for v in model.backbone.trainable_variables}
    assert trained == {"stage4_block1"}


def test_plain_training_uses_a_plain_optimizer():
    model = DynamoNet.from_backbone(make_classifier())
    compile_model(model, TrainConfig(), steps_per_epoch=2)
    assert type(model.optimizer) is keras.optimizers.AdamW
    compile_model(model, TrainConfig(layer_decay=0.9), steps_per_epoch=2)
    assert isinstance(model.optimizer, LayerwiseAdamW)


def test_backbone_knows_its_classes():
    assert ResNeXt3D.from_config(make_classifier().get_config()).num_classes == 3
