"""Validation in steps that every process and device can share."""

import numpy as np
import tensorflow as tf

from keras_dynamonet.data.bad_files import BadFileLog
from keras_dynamonet.data.clip_sampling import ClipSpec
from keras_dynamonet.data.clip_sources import EvaluationViews
from keras_dynamonet.data.labels import UNLABELLED
from keras_dynamonet.data.leave_quietly import idle_at_exit
from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.data.pipeline import BATCHES_AHEAD, num_workers
from keras_dynamonet.data.process_share import local_batch_size, sample_of_process


def validation_dataset(
    manifest: Manifest,
    spec: ClipSpec,
    *,
    batch_size: int,
    bad_files: str = "skip",
    max_bad_share: float = 0.1,
    workers: int | None = None,
    bad_file_log: BadFileLog | None = None,
    process_index: int = 0,
    process_count: int = 1,
) -> tf.data.Dataset:
    """The middle clip of every video, in steps of one size.

    Several devices can only share a step of which all know the size beforehand. So a
    video that cannot be read, and what is missing in the last step, is a black clip of
    weight 0, which enters no loss and no metric.

    Args:
        manifest: The videos.
        spec: Shape and pace of the clips.
        batch_size: Clips in a step, over all processes.
        bad_files: `"skip"` or `"raise"`.
        max_bad_share: Stop when more than this share of the files (and more than one)
            is bad.
        workers: Decoding threads. None takes one for each processor, at most 16.
        bad_file_log: Collects bad files and keeps the error that ended the stream.
        process_index: Which of several processes reads this stream, from 0.
        process_count: How many there are.

    Returns:
        Dataset of (clips, labels, weights): uint8 `(batch, T + 1, size, size, 3)`,
        int32 and float32 `(batch,)`, where `batch = batch_size / process_count`; as
        many steps in every process.

    Raises:
        ValueError: An argument is out of range.
        UserError: The manifest is empty.

    Example:

    ```python
    dataset = validation_dataset(manifest, spec, batch_size=8)
    model.evaluate(dataset)
    ```
    """
    views = EvaluationViews(
        manifest,
        spec,
        bad_files=bad_files,
        max_bad_share=max_bad_share,
        bad_file_log=bad_file_log,
    )
    local_batch = local_batch_size(batch_size, process_count)
    steps = -(-len(manifest) // batch_size)
    black = np.zeros((spec.frames_per_clip, spec.size, spec.size, 3), np.uint8)
    nothing = black, np.int32(UNLABELLED), np.float32(0)

    def load_video(index):
        if index >= len(manifest):
            return nothing
        clips = views(index)
        if not len(clips):
            return nothing
        return clips[0], manifest.labels[index], np.float32(1)

    load_quietly = idle_at_exit(load_video, lambda _: nothing)

    def load(local_sample):
        index = sample_of_process(
            local_sample, batch_size, process_index, process_count
        )
        clip, label, weight = tf.numpy_function(
            load_quietly, [index], [tf.uint8, tf.int32, tf.float32], stateful=False
        )
        clip.set_shape(black.shape)
        label.set_shape(())
        weight.set_shape(())
        return clip, label, weight

    return (
        tf.data.Dataset.range(steps * local_batch)
        .map(load, num_parallel_calls=num_workers(workers), deterministic=True)
        .batch(local_batch, drop_remainder=True)
        .prefetch(BATCHES_AHEAD)
    )
