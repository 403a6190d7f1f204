import numpy as np
import pytest

from keras_dynamonet.errors import UserError
from keras_dynamonet.layers import VideoBatchNormalization
from keras_dynamonet.training.model_setup import (
    build_model,
    compile_model,
    copy_weights,
)
from keras_dynamonet.training.training_data import clip_spec
from tests.helpers import randomise_weights
from tests.tiny_runs import MODEL, tiny_config


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A file with a model of three classes, its weights drawn at random."""
    model = build_model(tiny_config("data", "run"), ["down", "left", "right"])
    randomise_weights(model)
    path = tmp_path_factory.mktemp("models") / "source.keras"
    model.save(path)
    return path, model


def weights_of(model):
    return {v.path.removeprefix(f"{model.name}/"): v.numpy() for v in model.weights}


def test_preset_takes_the_settings():
    config = tiny_config("data", "run", fps=5.0)
    model = build_model(config, ["walk", "run"])
    assert model.frame_size == (16, 16)
    assert model.num_frames == 4
    assert model.class_names == ["walk", "run"]
    assert (model.fps, model.kernel_size) == (5.0, 3)


def test_network_settings_reach_the_network():
    config = tiny_config(
        "data",
        "run",
        filter_source="generated",
        generator_input="feature",
        kernel_size=5,
        dropout=0.25,
    )
    model = build_model(config, ["walk", "run"])
    assert (model.filter_source, model.generator_input) == ("generated", "feature")
    assert (model.kernel_size, model.dropout) == (5, 0.25)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "teach the backbone up to stage1"),
        ({"generator_input": "feature"}, ""),
        ({"filter_source": "solved"}, "frames alone teach it nothing"),
        ({"segments": 2}, "frames alone teach it nothing"),
        ({"solver_maps": 2}, "frames alone teach it nothing"),
    ],
)
def test_users_are_told_what_frames_alone_teach(options, told, caplog):
    with caplog.at_level("INFO"):
        build_model(tiny_config("data", "run", task="frames", **options), None)
    assert told in caplog.text if told else "teach" not in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [
        ("generator_input", "stage2", {"filter_source": "refined"}),
        ("loss_warmup_epochs", 2.0, {"loss_weighting": "warm_up"}),
        ("momentum", 0.5, {"optimizer": "sgd"}),
        ("learning_rate_batch", 8, {"scale_learning_rate": "linear"}),
        ("frozen_norm", "adapting", {"freeze": "stage1"}),
        ("labelled_share", 0.25, {"unlabelled": "more"}),
        ("motion_gradient", False, {"filter_source": "generated"}),
    ],
)
def test_users_are_told_of_settings_without_effect(name, value, needed, caplog):
    told = f"`{name}` has no effect without {next(iter(needed))}="
    build_model(tiny_config("data", "run", **{name: value}, **needed), None)
    assert "no effect" not in caplog.text
    build_model(tiny_config("data", "run", **{name: value}), None)
    assert told in caplog.text


@pytest.mark.parametrize(
    "option", [{"motion_gradient": False}, {"descriptor": "flatten"}]
)
def test_users_are_told_what_only_seen_filters_have(option, caplog):
    (name,) = option
    seen = {"filter_source": "generated", **option}
    build_model(tiny_config("data", "run", **seen), None)
    assert "no effect" not in caplog.text
    build_model(tiny_config("data", "run", evidence="feature", **seen), None)
    assert f"`{name}` has no effect without evidence=both or filters" in caplog.text


def test_learned_maps_have_a_motion_gradient(caplog):
    config = tiny_config("data", "run", motion_gradient=False, solver_maps=2)
    build_model(config, None)
    assert "no effect" not in caplog.text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"evidence": "filters"}, "nothing teaches the backbone"),
        ({"evidence": "filters", "filter_source": "generated"}, ""),
        ({"loss_weighting": "warm_up"}, "grows in over 5 epochs and there are 2"),
        ({"loss_weighting": "warm_up", "loss_warmup_epochs": 2.0}, ""),
    ],
)
def test_users_are_told_of_what_is_not_taught(options, told, caplog):
    build_model(tiny_config("data", "run", **options), ["walk", "run"])
    assert told in caplog.text if told else not caplog.text


def test_frames_alone_need_something_to_learn():
    weights = {"frame_loss_weight": 0.0, "teacher_weight": 0.0}
    tiny_config("data", "run", **weights)
    with pytest.raises(UserError, match="`frame_loss_weight` must be positive"):
        tiny_config("data", "run", task="frames", **weights)


def test_users_are_told_that_frames_alone_need_no_warm_up():
    settings = {"loss_weighting": "warm_up", "loss_warmup_epochs": 2.0}
    assert tiny_config("data", "run", **settings).idle_settings == {}
    idle = tiny_config("data", "run", task="frames", **settings).idle_settings
    assert set(idle) == {"loss_weighting"}


def test_options_of_the_filters_reach_the_network():
    options = {"evidence": "filters", "motion_gradient": False, "segments": 2}
    model = build_model(tiny_config("data", "run", **options), ["walk", "run"])
    assert {name: getattr(model, name) for name in options} == options
    assert build_model(tiny_config("data", "run", solver_maps=2), None).solver_maps == 2
    options = {"per_channel": True, "descriptor": "flatten"}
    options |= {"filter_source": "generated", "normalization": "softmax"}
    model = build_model(tiny_config("data", "run", **options), ["walk", "run"])
    assert {name: getattr(model, name) for name in options} == options


def test_arguments_that_the_network_refuses_are_told_in_a_line():
    config = tiny_config("data", "run", model={**MODEL, "descriptor_ridge": 0.0})
    with pytest.raises(UserError, match="built: `descriptor_ridge` must be positive"):
        build_model(config, ["walk", "run"])
    config = tiny_config("data", "run", normalization="softmax")
    with pytest.raises(UserError, match="Solved filters have negative taps"):
        build_model(config, ["walk", "run"])


def test_losses_of_a_configuration_reach_the_network(source):
    losses = {"frame_view": "high_pass", "loss_weighting": "warm_up"}
    settings = tiny_config("data", "run", **losses, loss_warmup_epochs=1.5)
    compile_model(source[1], settings, steps_per_epoch=10)
    config = source[1].get_compile_config()
    assert {name: config[name] for name in losses} == losses
    assert config["loss_warmup_steps"] == 15


def test_frames_alone_train_the_backbone_through_generated_filters():
    actions = build_model(tiny_config("data", "run"), ["a", "b"])
    frames = build_model(tiny_config("data", "run", task="frames"), None)
    assert (actions.filter_source, frames.filter_source) == ("solved", "generated")


def test_stride_leaves_the_frame_rate_open():
    model = build_model(tiny_config("data", "run", stride=2), ["a", "b"])
    assert (model.fps, model.stride) == (None, 2)


@pytest.mark.parametrize(
    ("options", "pace"),
    [
        ({}, (None, 2)),
        ({"fps": 5.0}, (5.0, 1)),
        ({"stride": 3}, (None, 3)),
    ],
)
def test_init_keeps_the_pace_unless_another_is_named(source, options, pace, tmp_path):
    path = tmp_path / "strided.keras"
    strided = type(source[1]).from_config(
        {**source[1].get_config(), "fps": None, "stride": 2}
    )
    strided.save(path)
    config = tiny_config("data", "run", init=str(path), model={}, **options)
    model = build_model(config, ["walk", "run"])
    assert (model.fps, model.stride) == pace
    spec = clip_spec(config, model)
    assert (spec.fps, spec.stride) == pace


def test_a_model_of_frames_alone_has_no_class_names():
    assert (
        build_model(tiny_config("data", "run", task="frames"), None).class_names is None
    )


def test_init_takes_everything_over_for_the_same_classes(source):
    path, model = source
    names = ["down", "left", "right"]
    copy = build_model(tiny_config("data", "run", init=str(path), model={}), names)
    assert copy.kernel_size == 3  # the architecture of the source
    for name, value in weights_of(model).items():
        np.testing.assert_array_equal(weights_of(copy)[name], value)


@pytest.mark.parametrize("names", [["walk", "run"], ["a", "b", "c"]])
def test_init_gives_other_classes_a_fresh_head(source, names):
    path, model = source
    copy = build_model(tiny_config("data", "run", init=str(path), model={}), names)
    assert copy.class_names == names
    before, after = weights_of(model), weights_of(copy)
    assert not after["action/bias"].any()
    for name in before.keys() - {"action/kernel", "action/bias"}:
        np.testing.assert_array_equal(after[name], before[name])


def test_init_with_another_frame_size_and_length_keeps_the_backbone(source):
    path, model = source
    config = tiny_config("data", "run", init=str(path), size=32, num_frames=8, model={})
    copy = build_model(config, ["walk", "run"])
    assert (copy.frame_size, copy.num_frames) == ((32, 32), 8)
    name = next(iter(weights_of(model)))
    np.testing.assert_array_equal(weights_of(copy)[name], weights_of(model)[name])


def test_a_preset_takes_the_filters_of_the_start(tmp_path, caplog):
    frames = build_model(
        tiny_config(
            *("data", "run"),
            task="frames",
            fps=6.0,
            model={**MODEL, "border": "zeros", "ridge": 1e-3},
        ),
        None,
    )
    randomise_weights(frames)
    path = tmp_path / "frames.keras"
    frames.save(path)
    settings = {"preset": "nano-16f", "init": str(path)}
    with caplog.at_level("INFO"):
        model = build_model(tiny_config("data", "run", **settings), ["walk", "run"])
    assert (model.filter_source, model.kernel_size) == ("generated", 3)
    assert (model.border, model.ridge) == ("zeros", 1e-3)
    assert (model.fps, model.num_frames, model.num_classes) == (6.0, 4, 2)
    assert caplog.text.endswith("left there: action/bias, action/kernel\n")
    before, after = weights_of(frames), weights_of(model)
    assert before.keys() == after.keys()
    assert any(name.startswith("filter_generator/") for name in before)
    for name in before.keys() - {"action/kernel", "action/bias"}:
        np.testing.assert_array_equal(after[name], before[name])


def test_copy_reports_what_fits(source):
    path, model = source
    config = tiny_config("data", "run", model={**MODEL, "kernel_size": 5})
    other = build_model(config, ["down", "left", "right"])
    transfer = copy_weights(model, other)
    assert "stem_conv/conv/kernel" in transfer.copied
    assert "filter_forecaster/filters/kernel" in transfer.kept
    assert len(transfer.copied) + len(transfer.kept) == len(other.weights)
    assert len(transfer.copied) + len(transfer.left) == len(model.weights)
    assert "filter_forecaster/filters/kernel" in transfer.left


def test_init_of_which_nothing_fits_is_refused(source):
    path, _ = source
    config = tiny_config(
        "data", "run", init=str(path), preset="nano-16f", model={"kernel_size": 5}
    )
    with pytest.raises(UserError, match="none of its convolutions fits the model"):
        build_model(config, ["walk", "run"])


def test_unknown_preset(source):
    for init in (None, str(source[0])):
        config = tiny_config("data", "run", preset="giant", init=init)
        with pytest.raises(
            UserError, match="^`--preset giant` is unknown. Known: nano"
        ):
            build_model(config, ["a", "b"])


@pytest.mark.parametrize(
    "model", [{"kernel_size": 4}, {"colour": 1}, {"backbone": "nano"}]
)
def test_bad_model_arguments(model, source):
    for init in (None, str(source[0])):
        config = tiny_config("data", "run", model=model, init=init)
        with pytest.raises(UserError, match="The model cannot be built: "):
            build_model(config, ["a", "b"])


def test_unknown_frame_loss(source):
    config = tiny_config("data", "run", frame_loss="distance")
    with pytest.raises(UserError, match="distance"):
        compile_model(source[1], config, steps_per_epoch=1)


def test_one_device_keeps_the_fast_normalisation():
    config = tiny_config("data", "run", sync_batch_norm=True)
    model = build_model(config, ["a", "b"])
    compile_model(model, config, steps_per_epoch=1)
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, VideoBatchNormalization)
    ]
    assert layers and not any(layer.synchronized for layer in layers)
