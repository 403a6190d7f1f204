"""A 3D convolution with groups that is fast and exportable everywhere."""

from typing import NamedTuple

import keras
from keras import ops

from keras_dynamonet.layers import backend_ops
from keras_dynamonet.layers.arguments import (
    require_known,
    require_positive,
    triple,
)
from keras_dynamonet.layers.convolution_forms import fastest_form, kind_of

FORMS = ("auto", "native", "planar", "merged", "stacked", "traced")

_MERGED_CHANNELS = 32
"""Channels of the convolutions that `merged` makes of small groups; of 16, 32, ... 256
the fastest on TensorFlow's CPU."""

_LEAST_FILTERS = 8
"""Filters of a group of `stacked`: XNNPACK computes eight at a time or more."""

_SHORT_RUN = 4
"""Up to so many channels the taps of a stack are so short that gathering them one by
one takes longer than a transposition before it."""

_FEW_CHANNELS = 8
"""Below these, oneDNN (in TensorFlow 2.21 and PyTorch 2.13) gives the kernel of strided
1x1 convolutions a wrong gradient on processors without AVX-512; at stride 1 it does
not."""


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class GroupedConv3D(keras.layers.Layer):
    """3D convolution with groups, computed in one of several equal forms.

    `y[t] = sum over taps i of conv2d(x[t * stride + i - padding], kernel[i])`

    Every side of the clip is padded with `kernel_size // 2` zeros, as PyTorch's video
    networks do. (Keras's `"same"` pads unevenly when a stride meets an even size, so
    that published weights would not give the published results.)

    The weights have Keras's layout in every form:

    - `native`: one 3D convolution of the backend.
    - `planar`: a sum of 2D convolutions, one for each temporal tap.
    - `merged`: the same, small groups side by side in convolutions without groups, with
      zeros between them (so that a number that is not finite spreads to its
      neighbours).
    - `stacked`: one 2D convolution over the taps side by side on the channel axis,
      groups of fewer than eight filters merged; the fastest in LiteRT.
    - `traced`: TensorFlow's grouped node without padding tricks, for converters only.
    - `auto`: `native` on a GPU, elsewhere what was fastest for the kernels, the task,
      the kind and the width (`convolution_forms.fastest_form`). On TensorFlow's CPU,
      Keras's grouped 3D convolution is 6 to 70 times slower than `planar`, whose groups
      have gradients with oneDNN alone (`backend_ops.cpu_kernels`).

    Args:
        filters: Number of output channels.
        kernel_size: Odd kernel sizes along frames, height and width, or one for all.
        strides: Strides along frames, height and width, or one for all.
        groups: Number of groups; must divide `filters` and the input channels.
        use_bias: Whether to add a bias.
        form: One of `"auto"`, `"native"`, `"planar"`, `"merged"`, `"stacked"`,
            `"traced"`.
        kernel_initializer: Default: normal with variance `2 / fan_out` (He).

    Call arguments:
        inputs: The clips.
        training: Whether gradients will be asked for; chooses the form of `auto`, the
            numbers are the same.

    Input shape:
        `(batch, frames, height, width, channels)`, all but batch known.

    Output shape:
        `(batch, ceil(frames / stride), ceil(height / stride), ceil(width / stride),
        filters)`

    Raises:
        ValueError: If a number is not positive, `groups` does not divide the channels,
            a kernel size is even, `form` is unknown, or a size of the clip is.

    Reference:
        Xie et al., *Aggregated Residual Transformations*, CVPR 2017 (groups); Hara et
        al., *Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs?*, CVPR 2018.

    Example:

    >>> layer = GroupedConv3D(64, 3, strides=(1, 2, 2), groups=8)
    >>> layer(keras.ops.ones((2, 8, 32, 32, 16))).shape
    TensorShape([2, 8, 16, 16, 64])
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        *,
        strides=1,
        groups=1,
        use_bias=False,
        form="auto",
        kernel_initializer="he_fan_out",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = triple(kernel_size)
        self.strides = triple(strides)
        self.groups = groups
        self.use_bias = use_bias
        self.form = form
        if kernel_initializer == "he_fan_out":
            kernel_initializer = keras.initializers.VarianceScaling(
                2.0, mode="fan_out", distribution="untruncated_normal"
            )
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        require_positive(
            filters=filters,
            kernel_size=self.kernel_size,
            strides=self.strides,
            groups=groups,
        )
        if any(size % 2 == 0 for size in self.kernel_size):
            raise ValueError(
                "`kernel_size` must be odd, so that the padding is the same on both "
                f"sides. Received: kernel_size={self.kernel_size}"
            )
        if filters % groups:
            raise ValueError(
                "`groups` must divide `filters`. "
                f"Received: groups={groups}, filters={filters}"
            )
        if form not in FORMS:
            raise ValueError(f"`form` must be one of {FORMS}. Received: form={form!r}")
        self.padding = tuple(size // 2 for size in self.kernel_size)

    def build(self, input_shape):
        require_known(input_shape)
        channels = input_shape[-1]
        if channels % self.groups:
            raise ValueError(
                "`groups` must divide the input channels. "
                f"Received: groups={self.groups}, channels={channels}"
            )
        self._kind = kind_of(self.kernel_size, channels, self.groups)
        self._subsamples = self.kernel_size[1:] == (1, 1) and channels < _FEW_CHANNELS
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, channels // self.groups, self.filters),
            initializer=self.kernel_initializer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.filters,), initializer="zeros"
            )

    def call(self, inputs, training=None):
        kernel = ops.convert_to_tensor(self.kernel)
        compute = _COMPUTE[self._resolved_form("training" if training else "forward")]
        bias = None if self.bias is None else ops.convert_to_tensor(self.bias)
        strides = self.strides
        if self._subsamples:
            frames, rows, columns = strides
            inputs, strides = inputs[:, :, ::rows, ::columns], (frames, 1, 1)
        return compute(inputs, kernel, bias, strides, self.padding)

    def compute_output_shape(self, input_shape):
        batch, *sizes, _ = input_shape
        sizes = (
            None if size is None else -(-size // stride)
            for size, stride in zip(sizes, self.strides, strict=True)
        )
        return (batch, *sizes, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "groups": self.groups,
            "use_bias": self.use_bias,
            "form": self.form,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _resolved_form(self, task):
        form = self.form
        if form == "auto" and backend_ops.gpu_is_visible():
            form = "native"
        elif form == "auto":
            kernels = backend_ops.cpu_kernels(self.compute_dtype)
            form = fastest_form(kernels, task, self._kind, self.filters)
            if form == "native" and self.compute_dtype == "float16":
                form = "planar"  # 3D kernels in float16 are slow on a CPU.
        # Without temporal taps both are the same 2D convolution; one does it directly.
        flat = self.kernel_size[0] == 1
        return "planar" if flat and form == "stacked" else form


def _native(inputs, kernel, bias, strides, padding):
    return _add(backend_ops.conv3d(inputs, kernel, strides, padding), bias)


def _traced(inputs, kernel, bias, strides, padding):
    if any(padding):
        inputs = ops.pad(inputs, [[0, 0], *([p, p] for p in padding), [0, 0]])
    return _add(backend_ops.traced_conv3d(inputs, kernel, strides), bias)


def _planar(inputs, kernel, bias, strides, padding):
    return _sum_over_taps(_conv_images, inputs, kernel, bias, strides, padding)


def _merged(inputs, kernel, bias, strides, padding):
    return _sum_over_taps(_conv_merged, inputs, kernel, bias, strides, padding)


def _sum_over_taps(convolve, inputs, kernel, bias, strides, padding):
    # The middle tap meets every frame: its term, the first, has the full size.
    taps = sorted(
        _meet_taps(inputs.shape[1], kernel.shape[0], strides[0]),
        key=lambda tap: abs(tap.index - padding[0]),
    )
    new_frames = taps[0].stop
    kernels = ops.unstack(kernel, axis=0)
    total = None
    for tap in taps:
        frames = _every(inputs, tap.source, tap.stop - tap.first, strides[0])
        images = convolve(frames, kernels[tap.index], strides, padding)
        if total is None:
            images = _add(images, bias)
        term = _as_clip(images, frames.shape[1])
        missing = (tap.first, new_frames - tap.stop)
        if any(missing):
            term = ops.pad(term, [[0, 0], missing, [0, 0], [0, 0], [0, 0]])
        total = term if total is None else total + term
    return total


def _stacked(inputs, kernel, bias, strides, padding):
    met = _meet_taps(inputs.shape[1], kernel.shape[0], strides[0])
    kernel = kernel[met[0].index : met[-1].index + 1]
    group_channels, filters = kernel.shape[-2:]
    groups = inputs.shape[-1] // group_channels
    kernel = _merge_groups(kernel, groups, _LEAST_FILTERS * groups // filters)
    taps, height, width, run, _ = kernel.shape
    frames = padding[0] if taps > 1 else 0
    margins = [(frames, frames + strides[0] - 1), (0, 0), (0, 0)]
    sizes = inputs.shape[2:4]
    if not backend_ops.same_is_symmetric(
        sizes, (height, width), strides[1:], padding[1:]
    ):
        # What the convolution cannot pad by itself is smaller before it is stacked.
        margins[1:] = ((pad, pad) for pad in padding[1:])
        sizes = [size + 2 * pad for size, pad in zip(sizes, padding[1:], strict=True)]
        padding = (padding[0], 0, 0)
    runs = _pad_in_runs(inputs, margins, run)
    starts = [tap.index - padding[0] + frames for tap in met]
    new_frames = -(-inputs.shape[1] // strides[0])
    stack = _stack_pixels if inputs.shape[-1] <= _SHORT_RUN else _stack_runs
    images = ops.reshape(
        stack(runs, starts, new_frames, strides[0]),
        (-1, *sizes, taps * inputs.shape[-1]),
    )
    kernel = ops.reshape(
        ops.transpose(kernel, (1, 2, 0, 3, 4)), (height, width, taps * run, filters)
    )
    images = backend_ops.conv2d(images, kernel, strides[1:], padding[1:])
    return _as_clip(_add(images, bias), new_frames)


def _pad_in_runs(inputs, margins, run):
    """Zeros around clips, whose last axis comes to have the length of a run.

    Few operations in few dimensions: reshapes are copies in TFLite, and its padding of
    a last axis of three numbers is slow.

    Returns:
        `(batch, frames, runs, run)`.
    """
    _, frames, height, width, channels = inputs.shape
    inside = any(map(any, margins[1:]))
    sides = [[0, 0], margins[0], margins[1], [channels * pad for pad in margins[2]]]
    if inside:
        inputs = ops.reshape(inputs, (-1, frames, height, width * channels))
        inputs = ops.pad(inputs, sides)
        _, frames, height, width = inputs.shape
        return ops.reshape(inputs, (-1, frames, height * width // run, run))
    inputs = ops.reshape(inputs, (-1, frames, height * width * channels // run, run))
    return ops.pad(inputs, sides) if any(margins[0]) else inputs


def _stack_runs(runs, starts, count, stride):
    """Frames from each start on, side by side in every run.

    `[run 0: tap 0, tap 1, tap 2][run 1: tap 0, tap 1, tap 2] ...`
    """
    _, _, number, run = runs.shape
    stack = []
    for start in starts:
        frames = runs[:, start : start + count * stride]
        if stride > 1:
            # TFLite's kernel goes through a strided slice one number at a time.
            phases = ops.reshape(frames, (-1, count, stride, number * run))
            frames = ops.reshape(phases[:, :, :1], (-1, count, number, run))
        stack.append(frames)
    return ops.concatenate(stack, axis=-1)


def _stack_pixels(runs, starts, count, stride):
    """The same for runs so short that they are better not gathered one by one.

    With the frames behind the pixels what a window sees lies in one piece.
    """
    _, frames, number, run = runs.shape
    pixels = ops.reshape(
        ops.transpose(runs, (0, 2, 1, 3)), (-1, 1, number, frames * run)
    )
    firsts = [(starts[0] + index * stride) * run for index in range(count)]
    length = len(starts) * run
    windows = [pixels[..., first : first + length] for first in firsts]
    return ops.concatenate(windows, axis=1)


class _Tap(NamedTuple):
    """Where a temporal tap of the kernel meets frames instead of padding."""

    index: int
    first: int  # first output frame
    stop: int  # behind the last output frame
    source: int  # input frame that the first output frame sees


def _meet_taps(frames, taps, stride):
    """The temporal taps that meet a frame.

    Those that meet nothing but padding are left out: they cost time, and no 8-bit scale
    fits an output that is always zero. A clip of one frame meets the middle tap alone.
    """
    pad, new_frames = taps // 2, -(-frames // stride)
    met = []
    for index in range(taps):
        offset = index - pad  # output frame t sees input frame t * stride + offset
        first = -(min(offset, 0) // stride)
        stop = min((frames - 1 - offset) // stride + 1, new_frames)
        if first < stop:
            met.append(_Tap(index, first, stop, first * stride + offset))
    return met


def _every(inputs, start, count, stride):
    """`count` frames, each `stride` behind the one before, with a cheap gradient."""
    _, frames, height, width, channels = inputs.shape
    if stride == 1 and count == frames:
        return inputs
    stop = start + count * stride
    if stop > frames:
        inputs = ops.pad(inputs, [[0, 0], [0, stop - frames], *[[0, 0]] * 3])
    inputs = backend_ops.crop(inputs, 1, start, stop)
    if stride == 1:
        return inputs
    phases = ops.reshape(inputs, (-1, count, stride, height * width * channels))
    phase = backend_ops.crop(phases, 2, 0, 1)
    return ops.reshape(phase, (-1, count, height, width, channels))


def _conv_images(inputs, kernel, strides, padding):
    """2D convolution of every frame: `(batch * frames, height, width, filters)`."""
    _, _, height, width, channels = inputs.shape
    images = ops.reshape(inputs, (-1, height, width, channels))
    return backend_ops.conv2d(images, kernel, strides[1:], padding[1:])


def _conv_merged(inputs, kernel, strides, padding):
    """As `_conv_images`, several groups at a time in a convolution without groups."""
    group_channels = kernel.shape[-2]
    groups = inputs.shape[-1] // group_channels
    kernel = _merge_groups(kernel, groups, _MERGED_CHANNELS // group_channels)
    blocks = inputs.shape[-1] // kernel.shape[-2]
    parts = ops.split(inputs, blocks, axis=-1)
    kernels = ops.split(kernel, blocks, axis=-1)
    return ops.concatenate(
        [
            _conv_images(part, kernel, strides, padding)
            for part, kernel in zip(parts, kernels, strict=True)
        ],
        axis=-1,
    )


def _merge_groups(kernel, groups, most):
    """The kernel of an equal convolution with fewer groups, as many as divide evenly.

    Args:
        kernel: `(..., channels of a group, filters)`.
        groups: Their number.
        most: How many of them may become one.

    Returns:
        `(..., channels of a merged group, filters)`, with zeros where a filter does not
        see a channel.
    """
    *taps, channels, filters = kernel.shape
    merged = max(count for count in range(1, max(most, 1) + 1) if groups % count == 0)
    if merged == 1:
        return kernel
    # A filter sees the channels of its own group alone.
    own = ops.reshape(ops.eye(merged, dtype=kernel.dtype), (merged, 1, 1, merged, 1))
    kernel = ops.reshape(
        kernel, (*taps, 1, channels, groups // merged, merged, filters // groups)
    )
    return ops.reshape(kernel * own, (*taps, merged * channels, filters))


def _as_clip(images, frames):
    return ops.reshape(images, (-1, frames, *images.shape[1:]))


def _add(outputs, bias):
    # Next to the convolution, before a reshape: there runtimes and converters fuse it.
    return outputs if bias is None else outputs + bias


_COMPUTE = {
    "native": _native,
    "planar": _planar,
    "merged": _merged,
    "stacked": _stacked,
    "traced": _traced,
}
