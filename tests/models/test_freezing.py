"""`layer.trainable = False`, the idiom of Keras, holds in a file and in a copy."""

import json

import keras
import numpy as np
import pytest

from keras_dynamonet.models import DynamoNet, ResNeXt3D
from keras_dynamonet.models.freezing import _parts, get_trainability
from tests.helpers import save_and_load
from tests.models.samples import random_clips, tiny_backbone, tiny_dynamonet

LABELS = np.array([0, 1, 2, 1])


def _freeze_backbone(model):
    model.backbone.trainable = False


def _freeze_layers(model):
    for layer in model.backbone.layers[:-3]:
        layer.trainable = False


def _freeze_norms(model):
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def _freeze_head(model):
    model.action.trainable = False


def _freeze_all(model):
    model.trainable = False


def _freeze_all_but_the_head(model):
    model.trainable = False
    model.trainable = True
    _freeze_backbone(model)
    for layer in (model.solver, model.motion_descriptor, *model.motion_layers):
        layer.trainable = False


def _freeze_one_weight(model):
    model.action.bias.trainable = False


FREEZES = (
    _freeze_backbone,
    _freeze_layers,
    _freeze_norms,
    _freeze_head,
    _freeze_all,
    _freeze_all_but_the_head,
    _freeze_one_weight,
)


def _flags(model):
    """Whether each layer and each weight of it trains."""
    return {name: part.trainable for name, part, _ in _parts(model)}


def _trained(model):
    return {variable.path for variable in model.trainable_variables}


def _copies(model, tmp_path):
    yield save_and_load(model, tmp_path / "model.keras")
    yield type(model).from_config(json.loads(json.dumps(model.get_config())))


@pytest.mark.parametrize("freeze", FREEZES)
def test_a_copy_trains_what_the_network_trains(freeze, tmp_path):
    model = tiny_dynamonet()
    everything = _trained(model)
    freeze(model)
    assert len(_trained(model)) < len(everything)
    for copy in (*_copies(model, tmp_path), keras.models.clone_model(model)):
        assert _trained(copy) == _trained(model)
        assert _flags(copy) == _flags(model)
        assert copy.get_config() == model.get_config()


def test_a_loaded_network_goes_on_with_its_optimizer_and_keeps_what_is_frozen(tmp_path):
    model = tiny_dynamonet()
    _freeze_backbone(model)
    model.compile("adam", run_eagerly=True)
    model.train_on_batch(random_clips(), LABELS)
    before = model.backbone.get_weights()
    loaded = save_and_load(model, tmp_path / "model.keras")
    assert int(loaded.optimizer.iterations) == 1
    loaded.train_on_batch(random_clips(), LABELS)
    model.train_on_batch(random_clips(), LABELS)
    for found, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    # The statistics of frozen normalisations do not move either.
    for found, expected in zip(loaded.backbone.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_classifier_of_which_the_head_alone_trains(tmp_path):
    model = tiny_backbone(num_classes=3)
    for layer in model.layers[:-1]:
        layer.trainable = False
    assert len(model.trainable_variables) == 2
    for copy in _copies(model, tmp_path):
        assert _trained(copy) == {"action/kernel", "action/bias"}


def test_a_frozen_backbone_within_a_network_of_the_users(tmp_path):
    backbone = tiny_backbone()
    backbone.trainable = False
    inputs = keras.Input((4, 16, 16, 3))
    outputs = keras.layers.Dense(2)(backbone(inputs)["feature"])
    loaded = save_and_load(keras.Model(inputs, outputs), tmp_path / "own.keras")
    assert len(loaded.trainable_variables) == 2


def test_a_frozen_backbone_stays_frozen_around_which_a_network_is_built():
    backbone = tiny_backbone()
    backbone.trainable = False
    for model in (DynamoNet(backbone, 3), DynamoNet.from_backbone(backbone, 3)):
        assert not model.backbone.trainable_variables
        assert all(not layer.trainable for layer in model.backbone.layers)
        assert model.action.trainable


@pytest.mark.parametrize("build", [tiny_dynamonet, tiny_backbone])
def test_a_network_that_is_built_frozen(build):
    model = build(trainable=False)
    assert not model.trainable_variables
    assert not any(_flags(model).values())


def test_what_nothing_was_done_to_says_nothing():
    assert get_trainability(tiny_dynamonet()) == {}
    assert ResNeXt3D.from_config(tiny_backbone().get_config()).trainable_variables


@pytest.mark.parametrize(
    "options", [{}, {"segments": 2}, {"filter_source": "refined"}, {"solver_maps": 2}]
)
def test_no_two_parts_have_the_same_name(options):
    parts = {}
    for name, part, _ in _parts(tiny_dynamonet(**options)):
        assert parts.setdefault(name, part) is part


def test_a_frozen_backbone_may_take_the_place_of_another():
    model = tiny_dynamonet()
    backbone = tiny_backbone()
    backbone.trainable = False
    config = {
        **model.get_config(),
        "backbone": keras.saving.serialize_keras_object(backbone),
    }
    assert not DynamoNet.from_config(config).backbone.trainable_variables
