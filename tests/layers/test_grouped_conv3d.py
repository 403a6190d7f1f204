import re

import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.layers import GroupedConv3D, grouped_conv3d
from keras_dynamonet.layers.backend_ops import cpu_kernels
from keras_dynamonet.layers.conv_norm import ConvNorm
from keras_dynamonet.layers.convolution_forms import (
    CPU_FORMS,
    KINDS,
    fastest_form,
    kind_of,
)
from tests import oracles
from tests.helpers import check_layer

FORMS = ("native", "planar", "merged", "stacked")
STRIDES = ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 1, 1))
ODD, EVEN = (5, 7, 9), (4, 6, 8)


def build(form, strides, groups, channels=8, kernel_size=3, **arguments):
    layer = GroupedConv3D(
        8, kernel_size, strides=strides, groups=groups, form=form, **arguments
    )
    layer.build((None, *ODD, channels))
    return layer


def needs_gradients(form, groups):
    """Skips what TensorFlow has no gradients of without oneDNN."""
    alone = groups > 1 and form in ("planar", "stacked")
    if alone and cpu_kernels() == "tensorflow_eigen":
        pytest.skip("without oneDNN groups have no gradients in this form")


def random(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("strides", "size", "groups"),
    [
        *((strides, ODD, 4) for strides in STRIDES),
        *((strides, EVEN, 4) for strides in STRIDES),
        ((1, 1, 1), ODD, 1),
        ((2, 2, 2), EVEN, 1),
        ((1, 1, 1), EVEN, 8),
        ((2, 2, 2), ODD, 8),
    ],
)
def test_outputs_and_gradients_equal_the_definition(form, strides, size, groups):
    needs_gradients(form, groups)
    layer = build(form, strides, groups)
    kernel = random(layer.kernel.shape, 1)
    layer.kernel.assign(kernel)
    inputs = tf.constant(random((2, *size, 8)))

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
        upstream = random(outputs.shape, 2)
        total = tf.reduce_sum(outputs * upstream)
    gradients = tape.gradient(total, [inputs, layer.kernel.value])

    expected = oracles.conv3d(inputs.numpy(), kernel, strides, groups)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-4)
    expected = oracles.conv3d_gradients(
        inputs.numpy(), kernel, upstream, strides, groups
    )
    for gradient, exact in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("channels", "filters", "groups"),
    [
        (128, 128, 32),
        (96, 192, 3),
        (80, 40, 2),
        (66, 33, 33),
        (34, 34, 17),
        (21, 14, 7),
    ],
)
def test_merged_groups_stay_apart(channels, filters, groups):
    layer = GroupedConv3D(filters, 3, strides=(1, 2, 2), groups=groups, form="merged")
    layer.build((None, *EVEN, channels))
    inputs = random((1, *EVEN, channels))
    outputs = layer(inputs)
    expected = oracles.conv3d(inputs, layer.kernel.numpy(), (1, 2, 2), groups)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "dtype",
    ("float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16"),
)
def test_groups_have_gradients_in_every_type(dtype):
    layer = GroupedConv3D(8, 3, groups=4, dtype=dtype)
    inputs = tf.constant(random((2, *EVEN, 8)), layer.compute_dtype)
    layer.build(inputs.shape)
    layer.kernel.assign(random(layer.kernel.shape, 1))
    with tf.GradientTape() as tape:
        outputs = layer(inputs, training=True)
        total = tf.reduce_sum(tf.cast(outputs, "float64") ** 2)
    gradient = tape.gradient(total, layer.kernel.value)
    expected = oracles.conv3d_gradients(
        inputs.numpy().astype("float64"),
        layer.kernel.numpy().astype("float64"),
        2 * outputs.numpy().astype("float64"),
        groups=4,
    )[1]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(gradient / scale, expected / scale, atol=3e-2)


@pytest.mark.parametrize("form", ("planar", "stacked"))
@pytest.mark.parametrize("strides", [(1, 2, 2), (2, 1, 2)])
@pytest.mark.parametrize("kernel_size", [1, (3, 1, 1), (1, 3, 3), (3, 7, 7), (7, 7, 7)])
def test_kernel_sizes_equal_the_definition(form, strides, kernel_size):
    layer = build(form, strides, 1, channels=3, kernel_size=kernel_size)
    kernel = layer.kernel.numpy()
    inputs = tf.constant(random((1, *EVEN, 3)))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
        total = tf.reduce_sum(outputs**2) / 2
    gradients = tape.gradient(total, [inputs, layer.kernel.value])
    expected = oracles.conv3d(inputs.numpy(), kernel, strides)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-4)
    expected = oracles.conv3d_gradients(inputs.numpy(), kernel, expected, strides)
    for gradient, exact in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, exact, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("groups", [1, 4])
def test_a_bias_is_added_once_everywhere(form, groups):
    layer = build(form, (2, 2, 2), groups, use_bias=True)
    inputs = random((1, *EVEN, 8))
    without = np.array(layer(inputs))
    layer.bias.assign(np.arange(8.0))
    added = layer(inputs) - without
    expected = np.broadcast_to(np.arange(8.0), without.shape)
    np.testing.assert_allclose(added, expected, atol=1e-5)


def test_weights_and_padding_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    layer = build("auto", (2, 2, 2), 4, use_bias=True)
    layer.bias.assign(random((8,), 3))
    inputs = random((2, *EVEN, 8))
    expected = torch.nn.functional.conv3d(
        torch.from_numpy(inputs.transpose(0, 4, 1, 2, 3)),
        torch.from_numpy(layer.kernel.numpy().transpose(4, 3, 0, 1, 2).copy()),
        torch.from_numpy(layer.bias.numpy()),
        stride=2,
        padding=1,
        groups=4,
    )
    expected = expected.numpy().transpose(0, 2, 3, 4, 1)
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-5, atol=1e-4)


def test_traced_form_is_one_node_of_the_right_shape():
    # TensorFlow's CPU kernel refuses groups, so that the form can only be traced.
    layer = build("traced", (2, 2, 2), 4)
    function = tf.function(layer, autograph=False)
    spec = tf.TensorSpec((None, *EVEN, 8), tf.float32)
    graph = function.get_concrete_function(spec).graph
    nodes = [node for node in graph.get_operations() if node.type.startswith("Conv")]
    assert [node.type for node in nodes] == ["Conv3D"]
    assert graph.outputs[0].shape.as_list() == [None, 2, 3, 4, 8]


def convolutions(layer, channels, dtype="float32", **arguments):
    """Types of the convolution nodes in the graph of a call on a CPU."""
    function = tf.function(lambda x: layer(x, **arguments), autograph=False)
    spec = tf.TensorSpec((None, *EVEN, channels), dtype)
    graph = function.get_concrete_function(spec).graph
    return {node.type for node in graph.get_operations() if "Conv" in node.type}


@pytest.mark.parametrize(
    ("channels", "groups", "kernel_size", "dtype", "node"),
    [
        (3, 1, 3, "float32", "Conv3D"),
        (3, 1, 3, "bfloat16", "Conv3D"),
        (8, 1, 3, "float32", "Conv2D"),
        (4, 4, 3, "float32", "Conv2D"),  # Keras would compile it, slowly.
        (3, 1, (1, 7, 7), "float32", "Conv2D"),
        (3, 1, 3, "float16", "Conv2D"),  # TensorFlow has no fast 3D kernel.
    ],
)
def test_auto_takes_the_fast_kernel_of_the_cpu(
    channels, groups, kernel_size, dtype, node, monkeypatch
):
    monkeypatch.setattr(grouped_conv3d.backend_ops, "gpu_is_visible", lambda: False)
    if cpu_kernels(dtype) == "tensorflow_eigen":
        node = "Conv2D"
    layer = build("auto", 2, groups, channels, kernel_size, dtype=dtype)
    assert convolutions(layer, channels, dtype) == {node}


def take_on_cpu(forms, monkeypatch):
    """Lets `auto` choose by these forms, by task and kind."""
    monkeypatch.setattr(grouped_conv3d.backend_ops, "gpu_is_visible", lambda: False)
    forms = {
        task: {kind: {"8": form} for kind, form in kinds.items()}
        for task, kinds in forms.items()
    }
    monkeypatch.setitem(CPU_FORMS, cpu_kernels(), forms)


def test_auto_knows_training_from_inference(monkeypatch):
    forms = {"forward": {"pixels": "stacked"}, "training": {"pixels": "native"}}
    take_on_cpu(forms, monkeypatch)
    unit = ConvNorm(8, 3)  # hands on what it is called with
    unit.build((None, *EVEN, 3))
    assert convolutions(unit, 3, training=True) == {"Conv3D"}
    assert convolutions(unit, 3, training=False) == {"Conv2D"}


@pytest.mark.parametrize("form", ("auto", "stacked"))
def test_no_taps_are_stacked_where_there_is_one(form, monkeypatch):
    take_on_cpu({"forward": dict.fromkeys(KINDS, "stacked")}, monkeypatch)

    def nodes(kernel_size):
        layer = build(form, 1, 1, kernel_size=kernel_size)
        function = tf.function(layer, autograph=False)
        spec = tf.TensorSpec((None, *EVEN, 8), tf.float32)
        graph = function.get_concrete_function(spec).graph
        return {node.type for node in graph.get_operations()}

    assert "ConcatV2" in nodes((3, 1, 1))
    assert not {"ConcatV2", "Transpose", "Pad"} & nodes((1, 1, 1))


@pytest.mark.parametrize(
    ("kernel_size", "channels", "groups", "kind"),
    [
        ((3, 7, 7), 3, 1, "pixels"),
        ((1, 7, 7), 3, 1, "dense"),
        ((1, 1, 1), 64, 1, "pointwise"),
        ((3, 1, 1), 64, 1, "dense"),
        ((3, 3, 3), 64, 1, "dense"),
        ((3, 3, 3), 64, 4, "few_groups"),
        ((3, 3, 3), 128, 32, "many_groups"),
    ],
)
def test_kinds_of_convolutions(kernel_size, channels, groups, kind):
    assert kind_of(kernel_size, channels, groups) == kind


@pytest.mark.parametrize("kernels", ("tensorflow", "tensorflow_eigen", "jax", "torch"))
@pytest.mark.parametrize("task", ("forward", "training"))
def test_every_kind_has_a_form_with_all_kernels(kernels, task):
    forms = CPU_FORMS[kernels][task]
    assert set(forms) == set(KINDS)
    for by_width in forms.values():
        assert by_width and set(by_width.values()) <= set(FORMS)


@pytest.mark.parametrize(
    ("filters", "form"),
    [(1, "planar"), (16, "planar"), (32, "planar"), (33, "native"), (999, "native")],
)
def test_the_nearest_width_decides(filters, form, monkeypatch):
    forms = {"training": {"dense": {"64": "native", "16": "planar"}}}
    monkeypatch.setitem(CPU_FORMS, "torch", forms)
    assert fastest_form("torch", "training", "dense", filters) == form


def test_initial_kernel_has_the_variance_of_he_over_the_fan_out():
    layer = GroupedConv3D(64, 3, groups=4)
    layer.build((None, *ODD, 64))
    # Keras counts 64 filters * 27 taps outputs of every input channel.
    assert np.std(layer.kernel.numpy()) == pytest.approx(np.sqrt(2 / 1728), rel=0.03)


@pytest.mark.parametrize("form", ("auto", *FORMS))
def test_is_a_sound_layer(form, tmp_path):
    arguments = {"filters": 8, "groups": 2, "strides": (1, 2, 2), "form": form}
    needs_gradients(form, 2)
    if form == "native":
        arguments["groups"] = 1  # Spares XLA, which compiles grouped ones on a CPU.
    check_layer(
        GroupedConv3D,
        {**arguments, "use_bias": True},
        random((2, 4, 6, 5, 4)),
        tmp_path,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 8, "kernel_size": (3, 2, 3)}, "`kernel_size` must be odd"),
        ({"filters": 8, "kernel_size": (3, 3)}, "A size must be an integer or one for"),
        ({"filters": 0}, "`filters` must be at least 1. Received: filters=0"),
        ({"filters": 8, "groups": 0}, "`groups` must be at least 1"),
        ({"filters": 8, "strides": (1, 0, 1)}, "`strides` must be at least 1"),
        (
            {"filters": 64, "groups": 3},
            "`groups` must divide `filters`. Received: groups=3, filters=64",
        ),
        ({"filters": 8, "form": "fast"}, "`form` must be one of"),
    ],
)
def test_wrong_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        GroupedConv3D(**arguments)


def test_input_channels_that_the_groups_do_not_divide_raise():
    with pytest.raises(ValueError, match="`groups` must divide the input channels"):
        GroupedConv3D(8, groups=4)(random((1, 2, 4, 4, 6)))


@pytest.mark.parametrize("channels", [3, 4, 6, 8])
def test_gradient_of_strided_pointwise_kernels_against_numpy(channels):
    """One of TensorFlow's kernels has it wrong below 8 channels."""
    rng = np.random.default_rng(0)
    layer = GroupedConv3D(16, 1, strides=2, form="planar")
    clips = rng.normal(size=(4, 4, 14, 14, channels)).astype("float32")
    layer.build(clips.shape)
    slope = rng.normal(size=(4, 2, 7, 7, 16)).astype("float32")
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(clips) * slope)
    (found,) = tape.gradient(total, [layer.kernel.value])
    expected = np.einsum("bthwc,bthwf->cf", clips[:, ::2, ::2, ::2], slope)
    np.testing.assert_allclose(found[0, 0, 0], expected, rtol=1e-3, atol=1e-3)
