"""The same numbers on every backend: `backend_worker.py FILE` computes and saves them.

Inputs and weights come from seeds of NumPy, so that they are the same everywhere; the
test compares what the backends make of them.
"""

import contextlib
import sys

import keras
import numpy as np
from keras import ops

from keras_dynamonet import layers
from keras_dynamonet.models import DynamoNet
from tests.models.samples import random_clips, shifted_clips, tiny_backbone

LABELS = np.array([0, -1, 2, 1])


def set_weights(model, seed=0):
    """Draws every weight in order, not much away from its size at the start."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if not keras.backend.is_float_dtype(weight.dtype):
            continue
        values = 0.1 * rng.standard_normal(weight.shape)
        if weight.path.endswith(("gamma", "moving_variance")):
            values = 1 + np.abs(values)
        weight.assign(values.astype("float32"))
    return model


def random(shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def layer_outputs():
    """Outputs of every form of every layer that has forms, and of what it rests on."""
    clip = random((2, 4, 7, 8, 8))
    frames, filters = random((2, 3, 6, 7, 3)), random((2, 3, 3, 3, 1), 2)
    colour_filters = random((2, 3, 3, 3, 3), 3)
    made = {}
    for form in ("native", "planar", "stacked"):
        made[f"conv_{form}"] = (
            layers.GroupedConv3D(
                8, strides=(1, 2, 2), groups=4, use_bias=True, form=form
            ),
            clip,
        )
    for form in ("native", "planar"):
        options = {"pool_size": 3, "strides": 2, "padding": 1, "form": form}
        made[f"max_{form}"] = layers.MaxPool3D(**options), clip
        made[f"average_{form}"] = layers.AveragePool3D(**options), clip
    for form in ("vectorized_map", "grouped", "patches"):
        for border in ("replicate", "reflect", "zeros"):
            layer = layers.DynamicMotionFilter(border, form)
            made[f"filter_{form}_{border}"] = layer, [frames, filters]
        layer = layers.DynamicMotionFilter(form=form)
        made[f"filter_{form}_colours"] = layer, [frames, colour_filters]
    for method in ("cholesky", "elimination", "conjugate_gradient"):
        solver = layers.FilterSolver(3, ridge=0.01, method=method)
        made[f"solver_{method}"] = solver, np.abs(frames)
    made["stc"] = layers.STCBlock(2), clip
    made["bottleneck"] = (
        layers.BottleneckBlock(8, expansion=2, groups=4, strides=2, stc_ratio=4),
        clip,
    )
    made["basic"] = layers.BasicBlock(8, shortcut="A", middle=(6, 6), strides=2), clip
    outputs = {}
    for name, (layer, inputs) in made.items():
        several = isinstance(inputs, list)
        layer.build([x.shape for x in inputs] if several else inputs.shape)
        set_weights(layer)
        outputs[name] = compiled(layer)(inputs)
    outputs["norm"] = layers.VideoBatchNormalization()(clip, training=True)
    return outputs


def compiled(layer):
    """The layer, compiled as a whole on JAX: one by one, its operations take long."""
    if keras.backend.backend() != "jax":
        return layer
    import jax

    return jax.jit(lambda inputs: layer(inputs))


@contextlib.contextmanager
def quick_compilation():
    """Lets JAX skip its optimisations, which here take longer than running."""
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    yield
    # Not for training: there, the maximum that XLA computes again for its gradient can
    # differ from the first by a rounding, and 0 / 0 elements equal it.
    jax.config.update("jax_disable_most_optimizations", False)


def model_outputs(source):
    """Predictions, then the losses and the weights of one step of training.

    With a learning rate of 1 the change of a weight is its gradient.
    """
    # Equal widths: JAX compiles the initialiser of every shape anew.
    with quick_compilation():
        backbone = tiny_backbone(widths=(4, 4, 4, 4))
        model = DynamoNet(backbone, 3, filter_source=source, kernel_size=3)
        set_weights(model)
    clips = np.concatenate([shifted_clips([(0, 1), (1, 0)]), random_clips(2)])
    outputs = model.predict(clips, verbose=0)
    before = [np.array(weight) for weight in model.get_weights()]
    model.compile(
        keras.optimizers.SGD(1.0),
        frame_loss={"huber": 1.0, "ssim": 0.1},
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="own")],
        jit_compile="auto" if keras.backend.backend() == "jax" else False,
    )
    history = model.fit(clips, LABELS, batch_size=4, shuffle=False, verbose=0).history
    outputs |= {f"loss_{key}": values[0] for key, values in history.items()}
    for index, (old, new) in enumerate(zip(before, model.get_weights(), strict=True)):
        outputs[f"step_{model.weights[index].path}"] = new - old
    if source == "generated":  # Clips alone.
        model.compile("sgd")
        history = model.fit(clips, batch_size=4, verbose=0).history
        outputs["alone"] = np.array([history[key][0] for key in sorted(history)])
    return {f"{source}_{name}": array for name, array in outputs.items()}


def compute():
    """All numbers to compare, by name."""
    with quick_compilation():
        outputs = layer_outputs()
    for source in ("solved", "generated"):
        outputs |= model_outputs(source)
    return {
        name: np.asarray(array)
        if isinstance(array, (np.ndarray, np.generic, float))
        else ops.convert_to_numpy(array)
        for name, array in outputs.items()
    }


def main(path):
    np.savez(
        path,
        backend=keras.backend.backend(),
        **{name.replace("/", "|"): array for name, array in compute().items()},
    )


if __name__ == "__main__":
    main(sys.argv[1])
