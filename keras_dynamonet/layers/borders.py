"""What a filter sees beyond the edge of a frame."""

from keras import ops

from keras_dynamonet.layers import backend_ops

BORDERS = ("replicate", "reflect", "zeros")


def pad_border(images, size, border):
    """Extends the images by `size` pixels on every side.

    `replicate` repeats the outermost pixel (`abc` becomes `aabcc` for size 1),
    `reflect` mirrors without repeating it (`babcb`), `zeros` is black.

    Args:
        images: `(images, height, width, channels)`.
        size: Pixels to add on each side; for `reflect`, less than height and width.
        border: One of `"replicate"`, `"reflect"`, `"zeros"`.

    Returns:
        `(images, height + 2 * size, width + 2 * size, channels)`.

    Example:

    >>> import numpy as np
    >>> row = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
    >>> [int(v) for v in pad_border(row, 1, "replicate")[0, 0, :, 0]]
    [1, 1, 2, 3, 3]
    """
    if border == "replicate":
        # Not every backend and exporter has a mode for it; slices exist everywhere.
        top, bottom = images[:, :1], images[:, -1:]
        images = ops.concatenate([top] * size + [images] + [bottom] * size, axis=1)
        left, right = images[:, :, :1], images[:, :, -1:]
        return ops.concatenate([left] * size + [images] + [right] * size, axis=2)
    mode = {"reflect": "reflect", "zeros": "constant"}[border]
    return ops.pad(images, [[0, 0], [size, size], [size, size], [0, 0]], mode=mode)


def crop_rim(frames, size):
    """Cuts `size` pixels off every side of `(batch, frames, height, width, channels)`.

    Errors next to the edge measure the border rule, not the prediction.

    Example:

    >>> crop_rim(ops.ones((2, 4, 8, 8, 3)), 2).shape
    TensorShape([2, 4, 4, 4, 3])
    """
    if size == 0:
        return frames
    for axis in (2, 3):
        frames = backend_ops.crop(frames, axis, size, frames.shape[axis] - size)
    return frames
