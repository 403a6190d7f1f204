"""Clips as JPEG frames: how clients with little bandwidth send them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


def decode_clips(frames: "tf.Tensor", height: int, width: int) -> "tf.Tensor":
    """Decodes clips, scales them to cover the frame and cuts out the centre.

    The same steps as in evaluation: a picture of the right size stays as it is, other
    pictures are scaled (bicubic, with anti-aliasing) until the frame is covered. From
    a smooth picture evaluation's own libraries compute the same to a few levels.

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

    As :func:`keras_dynamonet.data.transforms.centre_crop_resize`: what must be enlarged
    is cut out first, and half a pixel is rounded to the even one.

    Args:
        picture: uint8 `(any height, any width, 3)`.
        height: Pixels.
        width: Pixels.

    Returns:
        uint8 `(height, width, 3)`.
    """
    import tensorflow as tf

    size = tf.shape(picture)[:2]
    wanted = tf.constant((height, width))
    scale = tf.reduce_max(tf.cast(wanted, tf.float64) / tf.cast(size, tf.float64))
    enlarged = scale > 1
    covered = tf.minimum(_scaled(wanted, 1 / scale), size)
    picture = _cut_centre(picture, tf.where(enlarged, covered, size))
    size = tf.where(enlarged, wanted, tf.maximum(_scaled(size, scale), wanted))
    picture = tf.image.resize(picture, size, method="bicubic", antialias=True)
    picture = tf.cast(tf.clip_by_value(tf.round(picture), 0.0, 255.0), tf.uint8)
    return tf.ensure_shape(_cut_centre(picture, wanted), (height, width, 3))


def _scaled(size, factor):
    import tensorflow as tf

    # As exact as Python's numbers: the same halves are rounded.
    return tf.cast(tf.round(tf.cast(size, tf.float64) * factor), tf.int32)


def _cut_centre(picture, size):
    import tensorflow as tf

    top_left = _scaled(tf.shape(picture)[:2] - size, 0.5)
    return tf.slice(picture, tf.concat([top_left, [0]], 0), tf.concat([size, [3]], 0))
