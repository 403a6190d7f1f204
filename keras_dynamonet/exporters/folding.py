"""The inference form of a network: float32, no batch normalisation, chosen forms."""

from collections.abc import Iterator

import keras

from keras_dynamonet.layers import (
    dynamic_motion_filter,
    filter_solver,
    grouped_conv3d,
    pooling3d,
)
from keras_dynamonet.layers.conv_norm import ConvNorm
from keras_dynamonet.layers.pooling3d import MaxPool3D
from keras_dynamonet.layers.residual_blocks import BasicBlock, BottleneckBlock
from keras_dynamonet.models.dynamonet import DynamoNet
from keras_dynamonet.models.resnext3d import ResNeXt3D


def fold(
    model: DynamoNet,
    *,
    conv_form: str = "stacked",
    stem_form: str | None = None,
    pool_form: str = "planar",
    filter_form: str = "patches",
    solver_method: str = "cholesky",
) -> DynamoNet:
    """Rebuilds a network for inference on one target.

    `relu(gamma * (conv(x) - mean) / deviation + beta)` becomes one convolution with a
    bias. The result computes in float32 whatever the precision of the original, and
    equals its float32 form to about 1e-5; the original is left as it is.

    Args:
        model: The network.
        conv_form: Form of the convolutions, see
            :class:`~keras_dynamonet.layers.GroupedConv3D`.
        stem_form: Form of the first of them, if it has temporal taps. Default:
            `conv_form`.
        pool_form: Form of the pools, see :class:`~keras_dynamonet.layers.MaxPool3D`.
        filter_form: Form of the frame filter, see
            :class:`~keras_dynamonet.layers.DynamicMotionFilter`.
        solver_method: `"cholesky"` or `"newton"`, see
            :class:`~keras_dynamonet.layers.FilterSolver`.

    Returns:
        A new network with the same inputs, outputs and class names.

    Raises:
        ValueError: If a form is unknown.

    Example:

    >>> model = DynamoNet.from_preset("nano-16f", num_classes=4, size=32)
    >>> fold(model).backbone.get_config()["folded"]
    True
    """
    _check("conv_form", conv_form, grouped_conv3d.FORMS)
    _check("stem_form", stem_form or conv_form, grouped_conv3d.FORMS)
    _check("pool_form", pool_form, pooling3d.FORMS)
    _check("filter_form", filter_form, dynamic_motion_filter.FORMS)
    _check("solver_method", solver_method, filter_solver.METHODS)
    folded = _rebuild(model, folded=True, form=conv_form)
    stem = next(conv_norms(folded)).conv
    if stem_form is not None and stem.kernel_size[0] > 1:
        stem.form = stem_form
    for layer in folded.backbone.layers:
        if isinstance(layer, MaxPool3D):
            layer.form = pool_form
    folded.frame_filter.form = filter_form
    folded.solver.method = solver_method
    _copy_weights(model, folded)
    return folded


def in_float32(model: DynamoNet) -> DynamoNet:
    """The network in float32: itself, or a copy if it computes in another precision.

    Example:

    >>> model = DynamoNet.from_preset("nano-16f", num_classes=4, size=32)
    >>> in_float32(model) is model
    True
    """
    layers = (model, model.motion_descriptor, *model.backbone.layers)
    if {layer.dtype_policy.name for layer in layers} == {"float32"}:
        return model
    copy = _rebuild(model)
    for old, new in zip(model.weights, copy.weights, strict=True):
        new.assign(keras.ops.cast(old.value, "float32"))
    return copy


def conv_norms(model: DynamoNet) -> Iterator[ConvNorm]:
    """Every unit of convolution and normalisation, in the order of the network."""
    for layer in model.backbone.layers:
        if isinstance(layer, ConvNorm):
            yield layer
        elif isinstance(layer, BasicBlock | BottleneckBlock):
            yield from layer.convolutions
            if layer.projection is not None:
                yield layer.projection


def _rebuild(model, **backbone):
    """A network of the same architecture in float32, with fresh weights."""
    backbone = {**model.backbone.get_config(), **backbone, "dtype": "float32"}
    # Layers without a policy of their own take the global one.
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        config = {**model.get_config(), "dtype": "float32"}
        # A subclass may compute less: what it adds to DynamoNet is kept.
        return type(model)(**{**config, "backbone": ResNeXt3D(**backbone)})
    finally:
        keras.config.set_dtype_policy(policy)


def _copy_weights(source, target):
    for unit, folded in zip(conv_norms(source), conv_norms(target), strict=True):
        kernel, bias = unit.folded_weights()
        folded.conv.kernel.assign(kernel)
        folded.conv.bias.assign(bias)
    for old, new in zip(_other_weights(source), _other_weights(target), strict=True):
        new.assign(keras.ops.cast(old.value, "float32"))


def _other_weights(model):
    """The weights outside of the foldable units: equal in both networks."""
    inside = {id(w) for unit in conv_norms(model) for w in unit.weights}
    return [weight for weight in model.weights if id(weight) not in inside]


def _check(name, value, choices):
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {choices}. Received: {value!r}")
