"""The same numbers on every backend: `backend_worker.py FILE [NETWORK ...]`.

Computes and saves them; without names, those of every network.

Inputs and weights come from seeds of NumPy, so that they are the same everywhere; the
test compares what the backends make of them.
"""

import contextlib
import sys

import keras
import numpy as np
from keras import ops

from keras_dynamonet import layers
from keras_dynamonet.layers.backend_ops import cpu_kernels
from keras_dynamonet.losses import FRAME_LOSSES, get_frame_loss
from keras_dynamonet.models import DynamoNet
from tests.models.samples import random_clips, shifted_clips, tiny_backbone

LABELS = np.array([0, -1, 2, 1])

MIXED = {"frame_loss": {"huber": 1.0, "ssim": 0.1}}
# name: options of the network and of its losses
NETWORKS = {
    "solved": ({"filter_source": "solved"}, MIXED),
    "generated": ({"filter_source": "generated"}, MIXED),
    "refined": (
        {"filter_source": "refined", "motion_gradient": False},
        {"frame_view": "high_pass", "loss_weighting": "uncertainty"},
    ),
    "segments": ({"segments": 2, "evidence": "filters"}, {}),
}

ONEDNN_ALONE = ("conv_planar", "conv_stacked")
"""Layers that TensorFlow has gradients of with oneDNN alone."""


def on_eigen():
    """Whether TensorFlow computes without oneDNN."""
    return cpu_kernels() == "tensorflow_eigen"


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


def layers_with_forms():
    """Every form of every layer that has forms, with inputs."""
    clip = random((2, 4, 7, 8, 8))
    frames, filters = random((2, 3, 6, 7, 3)), random((2, 3, 3, 3, 1), 2)
    colour_filters = random((2, 3, 3, 3, 3), 3)
    made = {}
    for form in ("auto", "native", "planar", "merged", "stacked"):
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
    for method in ("cholesky", "newton", "conjugate_gradient"):
        solver = layers.FilterSolver(3, ridge=0.01, method=method)
        made[f"solver_{method}"] = solver, np.abs(frames)
    return made


def other_layers():
    """The rest, with inputs."""
    clip, motion = random((2, 4, 7, 8, 8)), random((2, 4, 3, 3, 3))
    made = {}
    for name, colours in (("shared", False), ("colours", True)):
        solver = layers.FilterSolver(
            3, ridge=0.01, luminance=False, per_channel=colours
        )
        made[f"solver_{name}"] = solver, np.abs(random((2, 3, 6, 7, 3)))
    for mode in ("none", "sum_to_one", "softmax"):
        made[f"normalised_{mode}"] = layers.FilterNormalization(mode), motion
    for head in ("flatten", "temporal"):
        made[f"descriptor_{head}"] = layers.MotionDescriptor(head, 4), motion
    made["pooled_generator"] = layers.PooledFilterGenerator(4, 3), random((2, 6))
    made["frame_generator"] = layers.FrameFilterGenerator(8, 3, units=4), clip
    made["forecaster"] = layers.FilterForecaster(3, channels=3, units=4), motion
    made["pixels"] = layers.PixelNormalization(), 255 * np.abs(clip[..., :3])
    made["unit"] = layers.ConvNorm(8, 3, groups=2, strides=2), clip
    pixels = np.abs(random((2, 3, 6, 7, 3)))
    made["segments"] = layers.SegmentSolver(3, ridge=0.01), pixels
    made["maps"] = layers.FrameMaps(2), pixels
    made["stc"] = layers.STCBlock(2), clip
    made["bottleneck"] = (
        layers.BottleneckBlock(8, expansion=2, groups=4, strides=2, stc_ratio=4),
        clip,
    )
    made["basic"] = layers.BasicBlock(8, shortcut="A", middle=(6, 6), strides=2), clip
    return made


def layer_outputs():
    """Outputs of every layer; of those with forms the gradients to the inputs, too."""
    with_forms = layers_with_forms()
    outputs = {}
    for name, (layer, inputs) in (with_forms | other_layers()).items():
        several = isinstance(inputs, list)
        layer.build([x.shape for x in inputs] if several else inputs.shape)
        set_weights(layer)
        outputs[name] = compiled(layer)(inputs)
        if name in with_forms and not (name in ONEDNN_ALONE and on_eigen()):
            slopes = gradients(layer, inputs if several else [inputs], outputs[name])
            outputs |= {f"{name}_slope{i}": slope for i, slope in enumerate(slopes)}
    norm = layers.VideoBatchNormalization()
    outputs["norm"] = norm(random((2, 4, 7, 8, 8)), training=True)
    return outputs


def loss_values():
    """Every frame loss of two clips."""
    real, predicted = (np.abs(random((2, 3, 8, 9, 3), seed)) for seed in (4, 5))
    return {
        f"loss_of_{name}": get_frame_loss(name)(real, predicted)
        for name in FRAME_LOSSES
    }


def gradients(layer, inputs, outputs):
    """Gradients of `sum(layer(inputs) * upstream)`, by the backend's own means."""
    upstream = ops.convert_to_tensor(random(tuple(outputs.shape), 6))

    def total(tensors):
        outputs = layer(tensors if len(tensors) > 1 else tensors[0])
        return ops.sum(outputs * upstream)

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tensors = [tf.constant(array) for array in inputs]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = total(tensors)
        return tape.gradient(value, tensors)
    if backend == "jax":
        import jax

        return jax.jit(jax.grad(total))(inputs)
    import torch

    tensors = [torch.tensor(array, requires_grad=True) for array in inputs]
    return torch.autograd.grad(total(tensors), tensors)


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


def model_outputs(name, options, losses):
    """Predictions, then the losses and the weights of one step of training.

    With a learning rate of 1 the change of a weight is its gradient.
    """
    # Equal widths: JAX compiles the initialiser of every shape anew.
    with quick_compilation():
        backbone = tiny_backbone(widths=(4, 4, 4, 4), name="backbone")
        model = DynamoNet(backbone, 3, kernel_size=3, name="network", **options)
        set_weights(model)
    clips = np.concatenate([shifted_clips([(0, 1), (1, 0)]), random_clips(2)])
    outputs = model.predict(clips, verbose=0)
    before = [np.array(weight) for weight in model.get_weights()]
    model.compile(
        keras.optimizers.SGD(1.0),
        **losses,
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="own")],
        jit_compile="auto" if keras.backend.backend() == "jax" else False,
    )
    history = model.fit(clips, LABELS, batch_size=4, shuffle=False, verbose=0).history
    outputs |= {f"loss_{key}": values[0] for key, values in history.items()}
    outputs["log_variances"] = model.loss_weighting.log_variances
    for index, (old, new) in enumerate(zip(before, model.get_weights(), strict=True)):
        outputs[f"step_{model.weights[index].path}"] = new - old
    if name == "generated":  # Clips alone.
        model.compile("sgd", loss_weighting="warm_up", loss_warmup_steps=2)
        history = model.fit(clips, batch_size=4, verbose=0).history
        outputs["steps_seen"] = model.loss_weighting.steps_seen
        outputs["alone"] = np.array([history[key][0] for key in sorted(history)])
    return {f"{name}_{key}": array for key, array in outputs.items()}


def compute(networks):
    """Numbers to compare, by name: of all layers, losses and these networks."""
    with quick_compilation():
        outputs = layer_outputs() | loss_values()
    for name in networks:
        outputs |= model_outputs(name, *NETWORKS[name])
    return {
        name: np.asarray(array)
        if isinstance(array, (np.ndarray, np.generic, float))
        else ops.convert_to_numpy(array)
        for name, array in outputs.items()
    }


def main(path, *networks):
    numbers = compute(networks or NETWORKS)
    numbers = {name.replace("/", "|"): array for name, array in numbers.items()}
    settings = {
        "kernels": cpu_kernels(),
        "data_format": keras.config.image_data_format(),
    }
    np.savez(path, **settings, **numbers)


if __name__ == "__main__":
    main(*sys.argv[1:])
