"""The few operations for which a backend has a better kernel than Keras's default.

`keras.ops` wraps every grouped convolution on TensorFlow in an XLA-compiled function,
6 to 70 times slower than TensorFlow's own 2D kernel on a CPU, and refused by TensorFlow
Serving. `keras.ops.moments` and `batch_normalization` miss TensorFlow's fused kernel,
and on PyTorch its convolutions cannot be mapped. The gradient of an indexed tensor
costs TensorFlow's CPU more than a convolution over it.
This module is the only place in the layers that looks past `keras.ops`.

Every operation is told where the channels are, here and elsewhere: Keras's default is a
setting of the user's.
"""

import contextlib
import functools

import keras
from keras import ops


def _on_tensorflow() -> bool:
    return keras.backend.backend() == "tensorflow"


def same_is_symmetric(sizes, kernel_size, strides, padding):
    """Whether `"same"` padding is so many zeros before and as many after.

    Args:
        sizes: Of what is convolved, along each axis; None for one that may be any.
        kernel_size: Along each axis.
        strides: Along each axis.
        padding: Zeros on either side of each axis.

    Example:

    >>> same_is_symmetric((8, 8), (3, 3), (1, 1), (1, 1))
    True
    >>> same_is_symmetric((8, 8), (3, 3), (2, 2), (1, 1))
    False
    """
    axes = zip(sizes, kernel_size, strides, padding, strict=True)
    return all(_is_symmetric(*axis) for axis in axes)


def _is_symmetric(size, kernel, stride, pad):
    if size is None:
        return stride == 1 and 2 * pad == kernel - 1
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total == 2 * pad


def ensure_shape(x, shape):
    """The same tensor with a shape that is known before there is a value.

    Args:
        x: A tensor.
        shape: Its shape, `None` for what may be any.

    Raises:
        ValueError: The shape is another one; on TensorFlow's graphs it is an
            `InvalidArgumentError` at the time that there is a value.

    Example:

    >>> tuple(ensure_shape(ops.ones((2, 3)), (None, 3)).shape)
    (2, 3)
    """
    if not _on_tensorflow():
        return x  # always known
    import tensorflow as tf

    return tf.ensure_shape(x, shape)


def gpu_is_visible() -> bool:
    """Whether the backend would place its operations on a GPU."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.get_visible_devices("GPU"))
    if backend == "jax":
        import jax

        return jax.default_backend() != "cpu"
    import torch

    return torch.cuda.is_available()


@functools.cache
def cpu_kernels(dtype: str = "float32") -> str:
    """Whose kernels compute on the CPU: a key of `convolution_forms.CPU_FORMS`.

    TensorFlow has two sets. That of oneDNN is left out on Apple's processors, on x86
    processors without VNNI and with `TF_ENABLE_ONEDNN_OPTS=0`, and lacks types that the
    processor lacks; what remains are those of Eigen, in which grouped convolutions have
    no gradients.

    Args:
        dtype: That the convolutions compute in.

    Returns:
        `"tensorflow"`, `"tensorflow_eigen"`, `"jax"` or `"torch"`.
    """
    if _on_tensorflow() and not _differentiates_groups(dtype):
        return "tensorflow_eigen"
    return keras.backend.backend()


def _differentiates_groups(dtype):
    import tensorflow as tf

    # The attempt below knows, but TensorFlow logs a warning when it fails, which would
    # be the first thing that many users see. No public function says so.
    with contextlib.suppress(ImportError):
        from tensorflow.python.util._pywrap_util_port import IsMklEnabled

        if not IsMklEnabled():
            return False
    # In a session of its own: the caller may be building a graph.
    with tf.Graph().as_default(), tf.device("CPU"), tf.compat.v1.Session() as session:
        pixel = tf.zeros((1, 1, 1, 2), dtype)
        gradient = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=pixel.shape,
            filter=pixel,
            out_backprop=pixel,
            strides=[1] * 4,
            padding="VALID",
        )
        try:
            session.run(gradient)
        except tf.errors.OpError:
            return False
    return True


def crop(inputs, axis, start, stop):
    """The half-open range `start` to `stop` of one axis, with a cheap gradient.

    On TensorFlow the gradient of an indexed tensor (`inputs[:, 1:]`) takes the CPU some
    15 times as long as that of its slice operation, which is a padding.

    Args:
        inputs: Tensor whose `axis` has a static size.
        axis: Axis to crop, counted from 0.
        start: First index kept, in [0, size).
        stop: Index behind the last one kept, in (start, size].

    Returns:
        The part of `inputs`, smaller along `axis`.

    Example:

    >>> crop(ops.ones((2, 8, 4)), axis=1, start=2, stop=7).shape
    TensorShape([2, 5, 4])
    """
    rank = len(inputs.shape)
    if _on_tensorflow():
        import tensorflow as tf

        begin, size = [0] * rank, [-1] * rank
        begin[axis], size[axis] = start, stop - start
        return tf.slice(inputs, begin, size)
    index = [slice(None)] * rank
    index[axis] = slice(start, stop)
    return inputs[tuple(index)]


def conv2d(inputs, kernel, strides=(1, 1), padding=(0, 0)):
    """2D convolution with groups, zero-padded by `padding` pixels on both sides.

    Args:
        inputs: `(images, height, width, channels)`.
        kernel: `(kernel_height, kernel_width, channels / groups, filters)`; the number
            of groups follows from its shape.
        strides: Vertical and horizontal stride.
        padding: Rows above and below, columns left and right.

    Returns:
        `(images, new_height, new_width, filters)`.

    Example:

    >>> conv2d(ops.ones((2, 8, 8, 4)), ops.ones((3, 3, 1, 4)), padding=(1, 1)).shape
    TensorShape([2, 8, 8, 4])
    """
    mode = "valid"
    if any(padding):
        # Only its own padding keeps TensorFlow on the fast path of its CPU kernels
        # (grouped gradients with explicit padding have none), wherever it is the same.
        if same_is_symmetric(inputs.shape[1:3], kernel.shape[:2], strides, padding):
            mode = "same"
        else:
            pads = [[0, 0], *([pad, pad] for pad in padding), [0, 0]]
            inputs = ops.pad(inputs, pads)
    if _on_tensorflow():
        import tensorflow as tf

        return tf.nn.conv2d(inputs, kernel, strides=strides, padding=mode.upper())
    return ops.conv(inputs, kernel, strides, mode, data_format="channels_last")


def conv3d(inputs, kernel, strides, padding):
    """3D convolution with groups as one operation of the backend.

    On TensorFlow with a GPU this is TensorFlow's own kernel; on its CPU, which has
    none for groups, Keras compiles it with XLA (correct, slow).

    Args:
        inputs: `(batch, frames, height, width, channels)`.
        kernel: `(kernel_frames, kernel_height, kernel_width, channels / groups,
            filters)`.
        strides: Stride along frames, height and width.
        padding: Zeros on both sides of frames, height and width.

    Returns:
        `(batch, new_frames, new_height, new_width, filters)`.
    """
    if any(padding):
        inputs = _pad_clips(inputs, padding)
    if _on_tensorflow() and gpu_is_visible():
        return traced_conv3d(inputs, kernel, strides)
    return ops.conv(inputs, kernel, strides, "valid", data_format="channels_last")


def _pad_clips(clips, padding):
    """Zeros around frames, rows and columns."""
    _, frames, height, width, channels = clips.shape
    in_time, in_height, in_width = padding
    # Whole rows: of pixels of three colours, TensorFlow's CPU pads a third as many in
    # the same time.
    rows = ops.reshape(clips, (-1, frames, height, width * channels))
    beside = in_width * channels
    rows = ops.pad(
        rows,
        [[0, 0], [in_time] * 2, [in_height] * 2, [beside] * 2],
    )
    _, frames, height, _ = rows.shape
    return ops.reshape(rows, (-1, frames, height, width + 2 * in_width, channels))


def traced_conv3d(inputs, kernel, strides):
    """TensorFlow's grouped 3D convolution node, unpadded.

    A graph may hold it for a converter or a GPU; TensorFlow's CPU kernel refuses it.

    Args:
        inputs: `(batch, frames, height, width, channels)`.
        kernel: As in :func:`conv3d`.
        strides: Stride along frames, height and width.

    Returns:
        `(batch, new_frames, new_height, new_width, filters)`.
    """
    import tensorflow as tf

    return tf.nn.conv3d(inputs, kernel, strides=(1, *strides, 1), padding="VALID")


def depthwise_conv2d(image, kernel):
    """Filters every channel of one image with its own kernel, without padding.

    Works inside `keras.ops.vectorized_map` on every backend: Keras's convolution asks
    PyTorch for a memory format, which its map cannot tell.

    Args:
        image: `(height, width, channels)`.
        kernel: `(size, size, channels)`.

    Returns:
        `(height - size + 1, width - size + 1, channels)`.

    Example:

    >>> depthwise_conv2d(ops.ones((8, 8, 3)), ops.ones((5, 5, 3))).shape
    TensorShape([4, 4, 3])
    """
    if keras.backend.backend() == "torch":
        import torch

        channels_first = image.permute(2, 0, 1)[None]
        kernels = kernel.permute(2, 0, 1)[:, None]
        outputs = torch.nn.functional.conv2d(
            channels_first, kernels, groups=image.shape[-1]
        )
        return outputs[0].permute(1, 2, 0)
    return ops.depthwise_conv(
        image[None], kernel[..., None], 1, "valid", data_format="channels_last"
    )[0]


def batch_normalise(inputs, gamma, beta, epsilon):
    """Normalises over every axis but the last, with the statistics of the batch.

    Args:
        inputs: `(batch, ..., channels)`.
        gamma: Scale, `(channels,)`, float32.
        beta: Offset, `(channels,)`, float32.
        epsilon: Added to the variance.

    Returns:
        The normalised inputs, the mean and the biased variance, both `(channels,)`.
    """
    if _on_tensorflow():
        import tensorflow as tf

        shape = tf.shape(inputs)
        # The kernel takes images; rows of one pixel column serve as well.
        columns = tf.reshape(inputs, (-1, 1, shape[-2], inputs.shape[-1]))
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            columns, gamma, beta, epsilon=epsilon, is_training=True
        )
        # The kernel returns the unbiased variance (Bessel's correction).
        count = tf.cast(tf.size(columns) // inputs.shape[-1], variance.dtype)
        variance = variance * (count - 1) / tf.maximum(count, 1)
        outputs = tf.reshape(outputs, shape)
        outputs.set_shape(inputs.shape)
        return outputs, mean, variance
    axes = tuple(range(len(inputs.shape) - 1))
    single = ops.cast(inputs, "float32")
    mean, variance = ops.moments(single, axes)
    outputs = ops.batch_normalization(
        single, mean, variance, -1, offset=beta, scale=gamma, epsilon=epsilon
    )
    return ops.cast(outputs, inputs.dtype), mean, variance


def sum_over_replicas(value):
    """Adds up a number over the replicas of a `tf.distribute` strategy.

    There each replica computes on its own share of the batch. On JAX and PyTorch, and
    without a strategy, a computation sees the whole batch, and nothing is added.

    Args:
        value: A tensor, the same shape in every replica.

    Returns:
        The sum, the same in every replica.

    Example:

    >>> float(sum_over_replicas(ops.ones(())))
    1.0
    """
    if _on_tensorflow():
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            return context.all_reduce(tf.distribute.ReduceOp.SUM, value)
    return value


def num_replicas():
    """Replicas of the present `tf.distribute` strategy; 1 without one.

    Example:

    >>> num_replicas()
    1
    """
    if _on_tensorflow():
        import tensorflow as tf

        return tf.distribute.get_strategy().num_replicas_in_sync
    return 1
