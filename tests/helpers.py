"""What every layer must do, checked once for all of them."""

import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf


def check_layer(layer_class, arguments, inputs, tmp_path: Path, *, float32_only=False):
    """Checks what is the same for all layers; tests then state what is special.

    - the configuration survives JSON and gives an equal layer;
    - static shape and dtype equal the real ones, also by `compute_output_shape`;
    - a `.keras` file restores the same outputs;
    - the gradients of every weight and of every float input are finite and not None;
    - the policy `mixed_bfloat16` runs, with float32 weights and bfloat16 outputs.

    Args:
        layer_class: Class of the layer.
        arguments: Its keyword arguments.
        inputs: An array or a list of arrays, batch first.
        tmp_path: Folder for the saved model.
        float32_only: Whether the layer computes in float32 under any policy.

    Returns:
        The layer, called once on `inputs`.
    """
    tensors = tf.nest.map_structure(tf.convert_to_tensor, inputs)
    layer = layer_class(**arguments)
    outputs = layer(tensors)

    _check_config(layer)
    _check_static_shape(layer, tensors, outputs)
    _check_reload(layer, tensors, outputs, tmp_path / "layer.keras")
    _check_gradients(layer, tensors)
    _check_mixed_precision(layer_class, arguments, tensors, float32_only)
    return layer


def check_gradients_exist(outputs, gradients, names):
    """Fails if a gradient is missing or not finite, naming whose it is."""
    for name, gradient in zip(names, gradients, strict=True):
        assert gradient is not None, f"no gradient for {name} of {outputs}"
        assert np.isfinite(gradient.numpy()).all(), f"gradient of {name} not finite"


def save_and_load(model, path: Path):
    """The model after a round trip through a `.keras` file."""
    model.save(path)
    return keras.saving.load_model(path)


def randomise_weights(model, seed=0, scale=0.3):
    """Draws every weight, so that no zero initialiser hides an error."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if not weight.dtype.startswith("float"):
            continue
        values = scale * rng.standard_normal(weight.shape)
        if weight.path.endswith(("gamma", "moving_variance")):
            values = 1.0 + np.abs(values)
        weight.assign(values)
    return model


def _check_config(layer):
    config = layer.get_config()
    clone = type(layer).from_config(json.loads(json.dumps(config)))
    assert _as_lists(clone.get_config()) == _as_lists(config)


def _check_static_shape(layer, inputs, outputs):
    symbols = tf.nest.map_structure(
        lambda tensor: keras.Input(tensor.shape[1:], dtype=tensor.dtype.name), inputs
    )
    symbol = layer(symbols)
    assert symbol.shape == (None, *outputs.shape[1:])
    assert symbol.dtype == outputs.dtype.name
    shapes = tf.nest.map_structure(lambda tensor: tuple(tensor.shape), inputs)
    assert tuple(layer.compute_output_shape(shapes)) == tuple(outputs.shape)


def _check_reload(layer, inputs, outputs, path):
    symbols = tf.nest.map_structure(
        lambda tensor: keras.Input(tensor.shape[1:], dtype=tensor.dtype.name), inputs
    )
    loaded = save_and_load(keras.Model(symbols, layer(symbols)), path)
    np.testing.assert_array_equal(loaded(inputs), outputs)


def _check_gradients(layer, inputs):
    sources = {v.path: v for v in layer.trainable_variables}
    for index, tensor in enumerate(tf.nest.flatten(inputs)):
        if tensor.dtype.is_floating:
            sources[f"input {index}"] = tensor
    with tf.GradientTape() as tape:
        for source in sources.values():
            tape.watch(source.value if isinstance(source, keras.Variable) else source)
        outputs = layer(inputs)
        # Squares, so that no symmetry makes a gradient vanish by chance.
        loss = tf.reduce_sum(tf.square(outputs))
    values = [
        source.value if isinstance(source, keras.Variable) else source
        for source in sources.values()
    ]
    check_gradients_exist(layer.name, tape.gradient(loss, values), sources)


def _check_mixed_precision(layer_class, arguments, inputs, float32_only):
    layer = layer_class(**arguments, dtype="mixed_bfloat16")
    outputs = layer(inputs)
    expected = "float32" if float32_only else "bfloat16"
    assert outputs.dtype.name == expected
    assert {weight.dtype for weight in layer.weights} <= {"float32"}
    assert np.isfinite(tf.cast(outputs, "float32").numpy()).all()


def _as_lists(config):
    """JSON has no tuples."""
    return json.loads(json.dumps(config))
