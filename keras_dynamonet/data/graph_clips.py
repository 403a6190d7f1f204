"""Sample n of the training stream in TensorFlow operations alone, from packed shards.

Workers of the tf.data service run on other hosts and know no Python, so everything from
the number of a sample to its pixels is part of the graph. What a sample is remains a
pure function of (seed, n). The draws are those of TensorFlow's generators instead of
NumPy's, and its resizing rounds differently: the stream is as good as that of
`TrainingClips`, but not the same.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_dynamonet.data.clip_sampling import ClipSpec
from keras_dynamonet.data.label_mix import LabelMix
from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.data.places import absolute_path
from keras_dynamonet.data.shards import HEADER_BYTES, PackedAddress, shard_offsets
from keras_dynamonet.data.transforms import CORNERS_AND_CENTRE, LUMA, Augmentation
from keras_dynamonet.data.video_timeline import CLOCK_SECONDS
from keras_dynamonet.errors import UserError

_NANOSECONDS = 1e9
# Read ahead of a record: more than most have would be read in vain.
_BUFFER_BYTES = 256 << 10


def graph_clip_loader(
    manifest: Manifest,
    spec: ClipSpec,
    *,
    seed: int,
    augmentation: Augmentation,
    labelled_share: float = 0.0,
) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Makes the function from the number of a sample to (clip, label).

    Args:
        manifest: Packed videos only; their places become constants of the graph, 16
            bytes a video, 24 with a share of labelled ones.
        spec: Shape and pace of the clips; short videos cannot be skipped.
        seed: Not negative.
        augmentation: What may vary from clip to clip.
        labelled_share: Least share of samples with a label, see :class:`LabelMix`.

    Returns:
        A function of an int64 scalar; its clips are uint8
        `(T + 1, size, size, 3)`, its labels int32 scalars.

    Raises:
        UserError: A video is not packed, or short ones are to be skipped.
    """
    if spec.short_videos == "skip":
        raise UserError(
            "a data service cannot leave out short videos: choose --short-videos loop "
            "or hold."
        )
    shards, shard_numbers, offsets = _places(manifest)
    labels = np.asarray(manifest.labels)
    mix = LabelMix(labels, labelled_share)
    counts = tf.constant([len(group) for group in mix.groups], tf.int64)
    starts = tf.cumsum(counts, exclusive=True)
    # One group is all videos in their order, and needs no list of them.
    videos = tf.constant(np.concatenate(mix.groups)) if mix.mixed else None

    def load(sample: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        group, number = mix.turn(sample)
        epoch, place = number // counts[group], number % counts[group]
        # Each group has an order of its own.
        stream = tf.stack(
            [tf.constant(seed, tf.int64), epoch * len(mix.groups) + group]
        )
        place = tf.random.experimental.index_shuffle(place, stream, counts[group] - 1)
        index = place if videos is None else tf.gather(videos, starts[group] + place)
        record = _read_record(
            tf.gather(shards, tf.gather(shard_numbers, index)),
            tf.gather(offsets, index),
        )
        draws = tf.random.stateless_uniform(
            [7], tf.stack([tf.constant(seed, tf.int64), sample]), dtype=tf.float64
        )
        frames = _frames(record, spec, draws[0])
        clip = _transform(frames, spec.size, augmentation, draws[1:])
        clip.set_shape((spec.frames_per_clip, spec.size, spec.size, 3))
        return clip, tf.gather(labels, index)

    return load


def _places(manifest: Manifest) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Shards, and for each video its shard and where its record begins there."""
    shards: dict[str, int] = {}
    shard_numbers = np.empty(len(manifest), np.int32)
    offsets = np.empty(len(manifest), np.int64)
    for row in range(len(manifest)):
        address = PackedAddress.parse(manifest.path(row))
        if address is None:
            raise UserError(
                f"{manifest.path(row)}: a data service reads packed videos only. Pack "
                "them with `dynamonet pack DATA OUT` and train on OUT."
            )
        # Workers open it, from folders of their own.
        shard = absolute_path(address.shard)
        shard_numbers[row] = shards.setdefault(shard, len(shards))
        offsets[row] = shard_offsets(address.shard)[address.number] - HEADER_BYTES
    return list(shards), shard_numbers, offsets


def _read_record(shard: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """The record that begins at an offset, and nothing else of its shard."""
    element = {"output_types": [tf.string], "output_shapes": [()]}
    records = tf.raw_ops.TFRecordDatasetV2(
        filenames=[shard],
        compression_type="",
        buffer_size=tf.constant(_BUFFER_BYTES, tf.int64),
        byte_offsets=[offset],
    )
    first = tf.raw_ops.TakeDataset(
        input_dataset=records, count=tf.constant(1, tf.int64), **element
    )
    return tf.raw_ops.DatasetToSingleElement(dataset=first, **element)[0]


def _frames(record: tf.Tensor, spec: ClipSpec, draw: tf.Tensor) -> tf.Tensor:
    """Decodes a random clip; see `clip_sampling` for the arithmetic."""
    context, lists = tf.io.parse_single_sequence_example(
        record,
        {
            "video/fps": tf.io.FixedLenFeature([2], tf.int64),
            "video/duration_ns": tf.io.FixedLenFeature([], tf.int64),
            "frame/time_ns": tf.io.RaggedFeature(tf.int64),
        },
        {"frame/jpeg": tf.io.FixedLenSequenceFeature([], tf.string)},
    )
    rate = tf.cast(context["video/fps"], tf.float64)
    fps = rate[0] / rate[1]
    duration = tf.cast(context["video/duration_ns"], tf.float64) / _NANOSECONDS
    starts = tf.cast(context["frame/time_ns"], tf.float64) / _NANOSECONDS
    step = (
        spec.stride / fps if spec.fps is None else tf.constant(1 / spec.fps, "double")
    )
    samples = tf.range(spec.frames_per_clip, dtype=tf.float64)
    slack = duration - (spec.frames_per_clip - 1) * step
    choices = tf.maximum(tf.floor(slack * fps + 0.5 + 1e-6), 0.0)
    whole = 1 + tf.floor((duration - 0.5 / fps + 1e-9) / step)
    if spec.short_videos == "hold":
        short = tf.minimum(samples, whole - 1)
    else:
        short = tf.math.floormod(samples, whole)
    start = tf.floor(draw * tf.maximum(choices, 1.0)) / fps
    times = start + 0.5 / fps + tf.where(choices > 0, samples, short) * step
    shown = tf.searchsorted(starts, times + CLOCK_SECONDS, side="right") - 1
    jpegs = tf.gather(lists["frame/jpeg"], tf.maximum(shown, 0))
    # Side by side rather than in a loop: each is an operation of its own.
    return tf.stack(
        [tf.io.decode_jpeg(jpegs[k], channels=3) for k in range(spec.frames_per_clip)]
    )


def _transform(
    frames: tf.Tensor, size: int, augmentation: Augmentation, draws: tf.Tensor
) -> tf.Tensor:
    """Scales, crops, mirrors and colours a clip; see `transforms`."""
    scales = tf.constant(augmentation.scales, tf.float64)
    scale = scales[tf.cast(draws[0] * len(augmentation.scales), tf.int32)]
    height, width = tf.unstack(tf.cast(tf.shape(frames)[1:3], tf.float64))
    ratio = tf.maximum(tf.round(size / scale), float(size)) / tf.minimum(height, width)
    target = tf.cast(tf.round(tf.stack([height, width]) * ratio), tf.int32)
    pixels = tf.image.resize(frames, target, "bicubic", antialias=True)
    pixels = tf.clip_by_value(pixels, 0.0, 255.0)
    position = tf.constant((0.5, 0.5), tf.float64)
    if augmentation.corner_crop:
        places = tf.constant(CORNERS_AND_CENTRE, tf.float64)
        position = places[tf.cast(draws[1] * len(CORNERS_AND_CENTRE), tf.int32)]
    corner = tf.cast(tf.round(position * tf.cast(target - size, tf.float64)), tf.int32)
    pixels = pixels[:, corner[0] : corner[0] + size, corner[1] : corner[1] + size]
    if augmentation.flip:
        pixels = tf.where(draws[2] < 0.5, pixels[:, :, ::-1], pixels)
    signed = tf.cast(2.0 * draws[3:] - 1.0, tf.float32)
    brightness = signed[0] * augmentation.brightness
    contrast = 1.0 + signed[1] * augmentation.contrast
    saturation = 1.0 + signed[2] * augmentation.saturation
    luma = tf.tensordot(pixels, tf.constant(LUMA), 1)[..., None]
    mixed = saturation * pixels + (1 - saturation) * luma
    pixels = contrast * (mixed - 127.5) + 127.5 + 255 * brightness
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)
