"""Clips as they come from anywhere: what is known of their shape, and what is wrong."""

from keras_dynamonet.layers import backend_ops

CHANNELS = 3


def as_colour_clips(clips, size, frames=None):
    """Clips whose height, width and channels are known before any is there.

    A dataset may not know the shape of its elements, e.g. one made from a generator;
    TensorFlow then checks it when a batch is there.

    Args:
        clips: `(batch, frames, height, width, 3)`.
        size: Height and width that the network takes.
        frames: Number of frames, if it takes but one.

    Returns:
        The same clips.

    Raises:
        ValueError: The clips are not in colour.

    Example:

    >>> import numpy as np
    >>> as_colour_clips(np.zeros((1, 2, 8, 6, 3)), (8, 6)).shape
    (1, 2, 8, 6, 3)
    """
    shape = tuple(getattr(clips, "shape", ()))
    if len(shape) == 5 and shape[-1] not in (None, CHANNELS):
        raise ValueError(
            f"A frame must have {CHANNELS} channels, red, green and blue (repeat the "
            f"one of grey frames). Received: clips of shape {shape}"
        )
    known = (shape[1] or frames, *size, CHANNELS) if len(shape) == 5 else ()
    if None not in shape[2:] and shape[1:2] == known[:1]:
        return clips
    return backend_ops.ensure_shape(clips, (shape[0], *known))
