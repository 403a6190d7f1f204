"""One convolution in one form, forward or with its gradients, on any backend."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.contestant import Work


def convolution(
    batch: int,
    shape: list[int],
    layer: Mapping[str, Any],
    gradients: int,
    form: str,
    threads: int,
) -> Work:
    """`GroupedConv3D`, compiled where the backend compiles.

    Args:
        batch: Clips.
        shape: Of the input, without the batch.
        layer: Arguments of the layer.
        gradients: Those taken: 1 of the kernel, 2 of the input too, 0 none.
        form: Of the layer.
        threads: Limited from outside; PyTorch is told.
    """
    import keras

    from keras_dynamonet.layers import GroupedConv3D

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(batch, *shape))
    conv = GroupedConv3D(**layer, form=form)
    conv.build(inputs.shape)
    fan_out = np.prod(conv.kernel.shape[:3]) * conv.kernel.shape[-1]
    kernel = rng.normal(0, (2 / fan_out) ** 0.5, conv.kernel.shape)
    backend = keras.backend.backend()
    tensors = [
        keras.ops.convert_to_tensor(array.astype("float32"), layer["dtype"])
        for array in (kernel, inputs)
    ]

    def forward(kernel, inputs):
        return conv.stateless_call([kernel], [], inputs)[0]

    compute = _COMPILERS[backend](forward, tensors, gradients, threads)

    def outputs():
        names = ("outputs", "to the kernel", "to the input")
        values = [keras.ops.cast(value, "float32") for value in compute()]
        arrays = map(keras.ops.convert_to_numpy, values)
        return dict(zip(names, arrays, strict=False))

    return Work(compute, outputs, f"keras {keras.__version__} on {backend}", batch)


def _tensorflow(forward, tensors, gradients, threads):
    import tensorflow as tf

    @tf.function
    def compute(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors[:gradients])
            outputs = forward(*tensors)
        return [outputs, *tape.gradient(outputs, tensors[:gradients], outputs)]

    return lambda: compute(*tensors)


def _jax(forward, tensors, gradients, threads):
    import jax

    @jax.jit
    def compute(*tensors):
        known = tensors[gradients:]
        outputs, gradients_of = jax.vjp(
            lambda *asked: forward(*asked, *known), *tensors[:gradients]
        )
        return [outputs, *gradients_of(outputs)]

    # JAX hands out results before they are computed.
    return lambda: jax.block_until_ready(compute(*tensors))


def _torch(forward, tensors, gradients, threads):
    import torch

    torch.set_num_threads(threads)
    asked = [tensor.requires_grad_() for tensor in tensors[:gradients]]

    def compute():
        outputs = forward(*tensors)
        values = [outputs]
        if asked:
            values += torch.autograd.grad(outputs, asked, outputs.detach())
        return [value.detach() for value in values]

    return compute


_COMPILERS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
