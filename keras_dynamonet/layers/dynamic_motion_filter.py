"""The layer the network is named after: each clip's own filters move its frames on."""

import keras
from keras import ops

from keras_dynamonet.layers.arguments import require_known
from keras_dynamonet.layers.backend_ops import depthwise_conv2d
from keras_dynamonet.layers.borders import BORDERS, pad_border

FORMS = ("auto", "vectorized_map", "grouped", "patches")


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class DynamicMotionFilter(keras.layers.Layer):
    """Filters every frame with a kernel of its own.

    `y[b, t, p, c] = sum over o of filters[b, t, o, c] * frames[b, t, p + o, c]`

    The sum runs over the `k x k` offsets `o` around pixel `p`. With a kernel that is 1
    at offset `o` the picture moves by `-o`, so that a motion of up to `(k - 1) / 2`
    pixels a frame can be expressed. The result has the size of the frame.

    With masks, M filters move each frame, and the result is their blend: `sum over m of
    masks[b, t, p, m] * (filters[b, t, :, m] * frames[b, t])[p, c]`.

    Equal forms:

    - `vectorized_map`: a depthwise convolution mapped over frames: the definition.
    - `grouped`: all frames side by side on the channel axis of one depthwise
      convolution: fast in training; cannot be exported with a dynamic batch.
    - `patches`: neighbourhoods by a constant convolution, then a product: for
      exporters, and faster on JAX's CPU; takes `k * k` times the memory.
    - `auto`: `grouped`.

    Args:
        border: What lies beyond the edge: `"replicate"`, `"reflect"` or `"zeros"`.
        form: One of `"auto"`, `"vectorized_map"`, `"grouped"`, `"patches"`.

    Call arguments:
        inputs: `[frames, filters]` or `[frames, filters, masks]`.

    Input shape:
        `frames (batch, frames, height, width, channels)` and `filters (batch, frames,
        k, k, channels or 1)`, k odd, all but batch known; 1 shares one kernel between
        the colours. With masks: filters `(batch, frames, k, k, M)`, each shared by the
        colours, and masks `(batch, frames, height, width, M)`.

    Output shape:
        That of `frames`.

    Raises:
        ValueError: If `border`, `form` or a size is unknown, k is even, the filters
            fit neither 1 nor the frames' channels, or the masks do not fit the filters.

    Reference:
        Diba et al., *DynamoNet: Dynamic Action and Motion Network*, ICCV 2019, figure
        2; De Brabandere et al., *Dynamic Filter Networks*, NIPS 2016.

    Example:

    >>> frames = keras.ops.ones((2, 4, 16, 16, 3))
    >>> filters = keras.ops.ones((2, 4, 5, 5, 1)) / 25
    >>> DynamicMotionFilter()([frames, filters]).shape
    TensorShape([2, 4, 16, 16, 3])
    """

    def __init__(self, border="replicate", form="auto", **kwargs):
        super().__init__(**kwargs)
        if border not in BORDERS:
            raise ValueError(
                f"`border` must be one of {BORDERS}. Received: border={border!r}"
            )
        if form not in FORMS:
            raise ValueError(f"`form` must be one of {FORMS}. Received: form={form!r}")
        self.border = border
        self.form = form

    def build(self, input_shape):
        frames, filters, *masks = input_shape
        require_known(frames)
        require_known(filters)
        if filters[2] != filters[3] or filters[2] % 2 == 0:
            raise ValueError(
                "Filters must be square with an odd size. "
                f"Received: filters of shape {tuple(filters)}"
            )
        if filters[1] != frames[1]:
            raise ValueError(
                "There must be filters for each frame. "
                f"Received: filters {tuple(filters)}, frames {tuple(frames)}"
            )
        if masks:
            if tuple(masks[0][1:4]) != tuple(frames[1:4]):
                raise ValueError(
                    "Masks must have the frames and the size of the frames. "
                    f"Received: masks {tuple(masks[0])}, frames {tuple(frames)}"
                )
            if masks[0][-1] != filters[-1]:
                raise ValueError(
                    "There must be a mask for each filter. "
                    f"Received: filters {tuple(filters)}, masks {tuple(masks[0])}"
                )
        elif filters[-1] not in (1, frames[-1]):
            raise ValueError(
                "Filters must have one channel or as many as the frames. "
                f"Received: filters {tuple(filters)}, frames {tuple(frames)}"
            )

    def call(self, inputs):
        frames, filters, *masks = inputs
        if not masks:
            return self._move(frames, filters)
        parts = zip(*(split_channels(part) for part in (filters, *masks)), strict=True)
        return sum(self._move(frames, part) * mask for part, mask in parts)

    def _move(self, frames, filters):
        _, count, height, width, channels = frames.shape
        size = filters.shape[2]
        images = ops.reshape(frames, (-1, height, width, channels))
        kernels = ops.reshape(filters, (-1, size, size, filters.shape[-1]))
        images = pad_border(images, size // 2, self.border)
        outputs = _COMPUTE[self.form](images, kernels)
        return ops.reshape(outputs, (-1, count, height, width, channels))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        return {**super().get_config(), "border": self.border, "form": self.form}


def split_channels(tensor):
    """The channels of a tensor one by one, each with a last axis of 1.

    Example:

    >>> [part.shape[-1] for part in split_channels(ops.ones((2, 4, 3)))]
    [1, 1, 1]
    """
    return ops.split(tensor, tensor.shape[-1], axis=-1)


def _vectorized_map(images, kernels):
    channels = images.shape[-1]

    def filter_one(pair):
        image, kernel = pair
        kernel = ops.broadcast_to(kernel, (*kernel.shape[:2], channels))
        return depthwise_conv2d(image, kernel)

    return ops.vectorized_map(filter_one, (images, kernels))


def _grouped(images, kernels):
    channels, shared = images.shape[-1], kernels.shape[-1] == 1
    if shared:
        # The colours share a kernel: they take the place of the batch.
        stack = ops.transpose(images, (3, 1, 2, 0))  # (channels, H, W, images)
        kernel = ops.transpose(kernels, (1, 2, 0, 3))  # (k, k, images, 1)
        outputs = _depthwise_conv(stack, kernel)
        return ops.transpose(outputs, (3, 1, 2, 0))
    _, height, width, _ = images.shape
    size = kernels.shape[1]
    stack = ops.reshape(ops.transpose(images, (1, 2, 0, 3)), (1, height, width, -1))
    kernel = ops.reshape(ops.transpose(kernels, (1, 2, 0, 3)), (size, size, -1, 1))
    outputs = _depthwise_conv(stack, kernel)
    _, height, width, _ = outputs.shape
    outputs = ops.reshape(outputs, (height, width, -1, channels))
    return ops.transpose(outputs, (2, 0, 1, 3))


def _depthwise_conv(images, kernel):
    return ops.depthwise_conv(images, kernel, 1, "valid", data_format="channels_last")


def _patches(images, kernels):
    _, height, width, channels = images.shape
    size, groups = kernels.shape[1], kernels.shape[-1]
    patches = neighbourhoods(images, size)  # (images * channels, H, W, k * k)
    _, height, width, taps = patches.shape
    # One kernel a colour meets one plane, a shared kernel the planes of all colours.
    rows = ops.reshape(patches, (-1, height * width * channels // groups, taps))
    kernels = ops.transpose(ops.reshape(kernels, (-1, taps, groups)), (0, 2, 1))
    outputs = ops.matmul(rows, ops.reshape(kernels, (-1, taps, 1)))
    outputs = ops.reshape(outputs, (-1, channels, height, width))
    return ops.transpose(outputs, (0, 2, 3, 1))


def neighbourhoods(images, size, stride=1, basis=None):
    """The `size x size` neighbours of every pixel, without padding.

    A convolution with a constant kernel, one-hot unless there is another basis: unlike
    the extract-patches operations it exists in every export format.

    Args:
        images: `(images, height, width, channels)`.
        size: Odd side of the neighbourhood.
        stride: Distance of the pixels whose neighbours are taken.
        basis: Orthogonal matrix, `(size * size, size * size)`, whose columns the
            neighbours are multiplied by; `None` for the neighbours themselves.

    Returns:
        `(images * channels, (height - size) // stride + 1, (width - size) // stride +
        1, size * size)`: a plane for every colour, the neighbours in row-major order,
        or their coordinates in the basis.

    Example:

    >>> neighbourhoods(ops.ones((2, 8, 8, 3)), 5).shape
    TensorShape([6, 4, 4, 25])
    """
    _, height, width, channels = images.shape
    taps = size * size
    planes = images
    if channels != 1:
        planes = ops.transpose(images, (0, 3, 1, 2))
        planes = ops.reshape(planes, (-1, height, width, 1))
    basis = ops.eye(taps) if basis is None else basis
    kernel = ops.reshape(ops.cast(basis, images.dtype), (size, size, 1, taps))
    return ops.conv(planes, kernel, stride, "valid", data_format="channels_last")


_COMPUTE = {
    "auto": _grouped,
    "grouped": _grouped,
    "vectorized_map": _vectorized_map,
    "patches": _patches,
}
