import keras
import numpy as np
import pytest

from keras_dynamonet.models.dynamonet import DynamoNet
from keras_dynamonet.models.freezing import NORM_MODES, STAGES
from keras_dynamonet.models.resnext3d import ResNeXt3D
from keras_dynamonet.training.fine_tuning import (
    LayerwiseAdamW,
    LayerwiseSGD,
    freeze,
    layer_rate_scales,
)


@pytest.fixture
def model():
    return DynamoNet(
        ResNeXt3D(
            10,
            num_frames=4,
            size=16,
            cardinality=1,
            widths=(4, 8, 8, 8),
            stem_width=4,
        ),
        num_classes=3,
    )


def train(model, optimizer=None, steps=1):
    model.compile(
        optimizer or keras.optimizers.SGD(0.1),
        teacher_weight=0.0,
        run_eagerly=True,
    )
    for _ in range(steps):
        train_more(model)


def train_more(model):
    clips = np.random.default_rng(0).integers(0, 256, (2, 5, 16, 16, 3)).astype("uint8")
    model.train_on_batch(clips, np.array([0, 2]))


def values(model):
    return {v.path: keras.ops.convert_to_numpy(v).copy() for v in model.weights}


def changed(model, before):
    after = values(model)
    return {path for path in before if (after[path] != before[path]).any()}


def of_stage(paths, *stages):
    return {p for p in paths if any(f"{stage}_" in p for stage in stages)}


@pytest.mark.parametrize("until", ["stem", "stage3"])
def test_frozen_stages_stay_and_later_ones_learn(until, model):
    freeze(model, until)
    before = values(model)
    train(model)
    moved = changed(model, before)
    at = STAGES.index(until) + 1
    assert not of_stage(moved, *STAGES[:at])
    for stage in STAGES[at:]:
        assert of_stage(moved, stage)
    assert any("action" in path for path in moved)


def test_nothing_is_frozen_by_default(model):
    freeze(model, "stage4")
    freeze(model)
    before = values(model)
    train(model)
    assert all(of_stage(changed(model, before), stage) for stage in STAGES)


def test_frozen_normalisation_keeps_its_statistics_everywhere(model):
    freeze(model, "stage1", batch_norm="frozen")
    before = values(model)
    train(model)
    moved = of_stage(changed(model, before), *STAGES)
    assert moved and not any("/norm/" in path for path in moved)


def test_adapting_normalisation_moves_its_statistics_alone(model):
    freeze(model, "stage2", batch_norm="adapting")
    before = values(model)
    train(model)
    moved = of_stage(changed(model, before), "stem", "stage1", "stage2")
    assert moved
    assert all("moving_" in path for path in moved)


@pytest.mark.parametrize("batch_norm", NORM_MODES)
def test_a_loaded_network_is_frozen_as_before_and_trains_on(
    batch_norm, model, tmp_path
):
    freeze(model, "stage3", batch_norm=batch_norm)
    train(model, keras.optimizers.SGD(0.1, momentum=0.9))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [v.trainable for v in loaded.variables] == [
        v.trainable for v in model.variables
    ]
    pairs = zip(loaded.optimizer.variables, model.optimizer.variables, strict=True)
    for found, expected in pairs:
        np.testing.assert_array_equal(found, expected, err_msg=expected.path)
    before = values(loaded)
    train_more(model)
    train_more(loaded)
    moved = values(loaded)
    assert any((moved[path] != before[path]).any() for path in before)
    for found, expected in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(found, expected, err_msg=expected.path)


def test_a_network_that_is_thawed_again_forgets_the_freeze(model):
    plain = model.get_config()
    freeze(model, "stem")
    assert model.get_config() != plain
    freeze(model)
    assert model.get_config() == plain


def test_a_file_that_says_nothing_of_freezing_loads_as_before(model):
    config = model.get_config()
    del config["backbone"]["config"]["trainability"], config["trainability"]
    old = DynamoNet.from_config(config)
    assert len(old.trainable_variables) == len(model.trainable_variables)


def test_a_file_of_the_first_form_is_frozen_as_it_was(model):
    freeze(model, "stage2")
    config = model.get_config()
    del config["backbone"]["config"]["trainability"], config["trainability"]
    arguments = {"until": "stage2", "batch_norm": "with_stage"}
    config["backbone"]["config"]["frozen"] = arguments
    old = DynamoNet.from_config(config)
    assert [v.trainable for v in old.variables] == [
        v.trainable for v in model.variables
    ]


def test_rates_fall_towards_the_stem(model):
    scales = layer_rate_scales(model, 0.5)
    assert set(scales) == {v.path for v in model.variables}
    found = {
        stage: {scale for path, scale in scales.items() if f"{stage}_" in path}
        for stage in STAGES
    }
    assert found == {stage: {0.5 ** (5 - index)} for index, stage in enumerate(STAGES)}
    assert scales[model.action.kernel.path] == 1.0


@pytest.mark.parametrize("decays", [False, True])
@pytest.mark.parametrize(
    "plain, layerwise",
    [
        (keras.optimizers.SGD, LayerwiseSGD),
        (keras.optimizers.AdamW, LayerwiseAdamW),
    ],
)
def test_first_step_is_the_plain_one_scaled(plain, layerwise, decays):
    gradients = [np.float32([[0.3, -2.0]]), np.float32([[1.0, 5.0]])]
    start = np.float32([[1.0, -3.0]])

    def step(make):
        variables = [keras.Variable(start, name=name) for name in ("low", "high")]
        make(variables).apply(
            [keras.ops.convert_to_tensor(g) for g in gradients], variables
        )
        return [keras.ops.convert_to_numpy(v) - start for v in variables]

    options = {"learning_rate": 0.1, "weight_decay": 0.5 if decays else None}
    if plain is keras.optimizers.AdamW and not decays:
        options["weight_decay"] = 0.0
    expected = step(lambda _: plain(**options))
    found = step(lambda vs: layerwise(**options, rate_scales={vs[0].path: 0.25}))
    np.testing.assert_allclose(found[0], 0.25 * expected[0], rtol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-6)


def test_layerwise_optimizer_survives_saving(model, tmp_path):
    scales = layer_rate_scales(model, 0.3)
    train(model, LayerwiseAdamW(1e-3, rate_scales=scales))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.rate_scales == scales


def test_unknown_choices_are_refused(model):
    with pytest.raises(ValueError, match="`until` must be one of"):
        freeze(model, "layer4")
    with pytest.raises(ValueError, match="`batch_norm` must be one of"):
        freeze(model, "stem", batch_norm="off")
    for decay in (0.0, 1.5):
        with pytest.raises(ValueError, match=r"`decay` must lie in \(0, 1\]"):
            layer_rate_scales(model, decay)


def test_pytorch_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ValueError, match="need the TensorFlow or JAX backend"):
        LayerwiseSGD(0.1, rate_scales={})
