"""What the contestants of the filter benchmark do: every frame by a kernel of its own.

Forward, then backward to the filters, and to the frames as well if asked for.
"""

import numpy as np

from benchmarks.contestant import Work


def keras(
    batch: int, frames: int, size: int, kernel: int, channels: int, threads: int, **how
) -> Work:
    """`DynamicMotionFilter` on TensorFlow or JAX, compiled.

    Args:
        batch: Clips.
        frames: Of a clip.
        size: Pixels.
        kernel: Side of the filters.
        channels: 1 for one kernel for the three colours, or 3.
        threads: Limited from outside.
        **how: `form` of the layer, and `to_frames`.
    """
    import keras

    from keras_dynamonet.layers import DynamicMotionFilter

    layer = DynamicMotionFilter(form=how["form"])
    arrays = _data(batch, frames, size, kernel, channels)
    layer.build([array.shape for array in arrays[:2]])
    backend = keras.backend.backend()
    compute = _compiled(backend, layer, how["to_frames"])
    inputs = [keras.ops.convert_to_tensor(array) for array in arrays]

    def step():
        # JAX hands out results before they are computed.
        return [np.asarray(value) for value in compute(*inputs)]

    runtime = f"keras {keras.__version__} on {backend}"
    return Work(step, lambda: _named(step()), runtime, batch)


def pytorch(
    batch: int, frames: int, size: int, kernel: int, channels: int, threads: int, **how
) -> Work:
    """One grouped convolution over all frames, side by side on the channel axis.

    With `stack="colours"` the three colours that share a kernel are the batch of that
    convolution; with `stack="all"` every colour of every frame is a group.
    """
    import torch
    from torch.nn import functional

    torch.set_num_threads(threads)
    clips, filters, gradient = (
        torch.from_numpy(array)
        for array in _data(batch, frames, size, kernel, channels)
    )
    clips.requires_grad_(how["to_frames"])
    filters.requires_grad_()
    count = batch * frames

    def forward():
        images = clips.reshape(count, size, size, 3).permute(0, 3, 1, 2)
        images = functional.pad(images, (kernel // 2,) * 4, mode="replicate")
        kernels = filters.reshape(count, kernel, kernel, channels).permute(0, 3, 1, 2)
        if how["stack"] == "colours":
            stack = images.permute(1, 0, 2, 3)
            outputs = functional.conv2d(stack, kernels, groups=count).permute(
                1, 2, 3, 0
            )
        else:
            side = size + 2 * (kernel // 2)
            stack = images.reshape(1, 3 * count, side, side)
            kernels = kernels.expand(-1, 3, -1, -1).reshape(-1, 1, kernel, kernel)
            outputs = functional.conv2d(stack, kernels, groups=3 * count)
            outputs = outputs.reshape(count, 3, size, size).permute(0, 2, 3, 1)
        return outputs.reshape(clips.shape)

    wanted = [filters, clips] if how["to_frames"] else [filters]

    def step():
        outputs = forward()
        return [outputs.detach(), *torch.autograd.grad(outputs, wanted, gradient)]

    def proof():
        return _named([value.numpy() for value in step()])

    return Work(step, proof, f"torch {torch.__version__}", batch)


def _compiled(backend, layer, to_frames):
    if backend == "jax":
        import jax

        @jax.jit
        def compute(clips, filters, gradient):
            outputs, back = jax.vjp(lambda f, c: layer([c, f]), filters, clips)
            gradients = back(gradient)
            return [outputs, *(gradients if to_frames else gradients[:1])]

        return compute
    import tensorflow as tf

    @tf.function
    def compute(clips, filters, gradient):
        wanted = [filters, clips] if to_frames else [filters]
        with tf.GradientTape() as tape:
            tape.watch(wanted)
            outputs = layer([clips, filters])
        return [outputs, *tape.gradient(outputs, wanted, gradient)]

    return compute


def _data(batch, frames, size, kernel, channels):
    """Frames, filters and the gradient of the outputs."""
    rng = np.random.default_rng(0)
    shape = (batch, frames, size, size, 3)
    filters = rng.normal(0, 0.1, (batch, frames, kernel, kernel, channels))
    arrays = rng.uniform(0, 1, shape), filters, rng.normal(0, 1, shape)
    return [array.astype("float32") for array in arrays]


def _named(values):
    names = ("outputs", "to filters", "to frames")
    return dict(zip(names, values, strict=False))
