import keras
import numpy as np
import pytest

from keras_dynamonet.exporters.folding import conv_norms, fold, in_float32
from tests.exporters.networks import moving_clips, tiny_network

BASIC = {"block": "basic", "expansion": 1, "shortcut": "A"}
GENERATED = {"filter_source": "generated", "normalization": "softmax"}


@pytest.mark.parametrize(
    ("form", "stem", "options"),
    [
        ("planar", "small", {}),
        ("stacked", "pooled", {"backbone": {"stc_ratio": 4}, "descriptor": "flatten"}),
        (
            "stacked",
            "pooled",
            {"backbone": {"block": "basic", "expansion": 1, "shortcut": "A"}},
        ),
        (
            "stacked",
            "small",
            {"filter_source": "generated", "normalization": "softmax"},
        ),
        ("stacked", "small", {"per_channel": True, "normalization": "sum_to_one"}),
    ],
)
def test_folded_network_equals_the_original(form, stem, options):
    network = tiny_network(stem, **options)
    clips = moving_clips(3, network.num_frames, network.frame_size[0])
    folded = fold(network, conv_form=form, pool_form="native", filter_form="patches")
    expected, received = network(clips), folded(clips)
    assert set(expected) == set(received)
    for name, value in expected.items():
        scale = max(1.0, float(np.max(np.abs(value))))
        np.testing.assert_allclose(
            received[name], value, atol=1e-5 * scale, err_msg=name
        )
    assert not any(unit.norm for unit in conv_norms(folded))


def test_a_frozen_network_folds_as_any_other():
    network = tiny_network("small")
    network.backbone.freeze("stage2", batch_norm="adapting")
    clips = moving_clips(2, network.num_frames, network.frame_size[0])
    np.testing.assert_allclose(
        fold(network)(clips)["logits"], network(clips)["logits"], atol=1e-5
    )


@pytest.mark.parametrize(
    ("stem", "form"), [("small", "native"), ("small (2+1)d", "planar")]
)
def test_stem_has_a_form_of_its_own(stem, form):
    """Unless it starts with a 2D convolution, which has none to choose."""
    network = tiny_network(backbone={"stem": stem})
    folded = fold(network, conv_form="planar", stem_form="native")
    first, *others = (unit.conv.form for unit in conv_norms(folded))
    assert (first, set(others)) == (form, {"planar"})
    clips = moving_clips(2, network.num_frames, network.frame_size[0])
    np.testing.assert_allclose(
        folded(clips)["logits"], network(clips)["logits"], atol=1e-5
    )


def test_newton_solves_as_well_as_cholesky():
    network = tiny_network(kernel_size=5)
    clips = moving_clips(3, network.num_frames, network.frame_size[0])
    expected = network(clips)
    received = fold(network, solver_method="newton")(clips)
    for name, value in expected.items():
        np.testing.assert_allclose(received[name], value, atol=1e-5, err_msg=name)


def test_bfloat16_network_folds_to_float32():
    network = tiny_network(dtype="mixed_bfloat16")
    folded = fold(network)
    assert {weight.dtype for weight in folded.weights} == {"float32"}
    assert folded.dtype_policy.name == "float32"
    assert {unit.compute_dtype for unit in conv_norms(folded)} == {"float32"}
    single = in_float32(network)
    assert in_float32(single) is single
    clips = moving_clips(2, network.num_frames, network.frame_size[0])
    np.testing.assert_allclose(
        folded(clips)["logits"], single(clips)["logits"], atol=1e-5
    )


def test_global_policy_neither_matters_nor_changes():
    network = tiny_network()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        folded = fold(network)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert folded.motion_descriptor.compute_dtype == "float32"


def test_original_is_left_alone():
    network = tiny_network()
    before = network.get_weights()
    fold(network, filter_form="patches", solver_method="newton")
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert network.frame_filter.form == "auto"
    assert network.solver.method == "cholesky"


@pytest.mark.parametrize(
    "argument", ["conv_form", "stem_form", "pool_form", "filter_form", "solver_method"]
)
def test_unknown_form_is_refused(argument):
    with pytest.raises(ValueError, match=f"`{argument}` must be one of"):
        fold(tiny_network(), **{argument: "fast"})
