"""Clips as JPEG frames: how clients with little bandwidth send them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


def decode_clips(frames: "tf.Tensor", height: int, width: int) -> "tf.Tensor":
    """Decodes clips, scales them to cover the frame and cuts out the centre.

    The same steps as in evaluation: a picture of the right size stays as it is, other
    pictures are scaled (bicubic, with anti-aliasing) until the frame is covered.

    Args:
        frames: Strings `(batch, T)`, each a JPEG or PNG picture of any size.
        height: Height of the result in pixels.
        width: Width of the result in pixels.

    Returns:
        uint8 `(batch, T, height, width, 3)`.
    """
    import tensorflow as tf

    def decode(content):
        picture = tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")
        return centre_crop(picture, height, width)

    pictures = tf.map_fn(
        decode,
        tf.reshape(frames, (-1,)),
        fn_output_signature=tf.TensorSpec((height, width, 3), tf.uint8),
    )
    return tf.reshape(pictures, (-1, frames.shape[1], height, width, 3))


def centre_crop(picture: "tf.Tensor", height: int, width: int) -> "tf.Tensor":
    """Scales a picture to cover `height x width` pixels and cuts out the centre.

    Args:
        picture: uint8 `(any height, any width, 3)`.
        height: Pixels.
        width: Pixels.

    Returns:
        uint8 `(height, width, 3)`.
    """
    import tensorflow as tf

    size = tf.cast(tf.shape(picture)[:2], tf.float32)
    wanted = tf.constant((height, width), tf.float32)
    scale = tf.reduce_max(wanted / size)
    size = tf.cast(tf.round(size * scale), tf.int32)
    size = tf.maximum(size, (height, width))
    picture = tf.image.resize(picture, size, method="bicubic", antialias=True)
    picture = tf.cast(tf.clip_by_value(tf.round(picture), 0.0, 255.0), tf.uint8)
    top, left = tf.unstack((size - (height, width)) // 2)
    return tf.slice(picture, (top, left, 0), (height, width, 3))
