"""tf.data over the clips: decoding in threads, next to the training step."""

from typing import TYPE_CHECKING

import numpy as np

from keras_dynamonet.data.bad_files import BadFileLog
from keras_dynamonet.data.clip_sampling import ClipSpec
from keras_dynamonet.data.clip_sources import EvaluationViews, TrainingClips
from keras_dynamonet.data.labels import UNLABELLED
from keras_dynamonet.data.leave_quietly import idle_at_exit
from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.data.process_share import local_batch_size, sample_of_process
from keras_dynamonet.data.transforms import Augmentation
from keras_dynamonet.machine import count_cpus

if TYPE_CHECKING:
    import tensorflow as tf

_MAX_DEFAULT_WORKERS = 16
BATCHES_AHEAD = 2
"""Batches kept ready while a step computes, in every stream: one that the next step
takes, and one more for videos that take long to read. See `benchmarks.prefetch`."""


def training_dataset(
    manifest: Manifest,
    spec: ClipSpec,
    *,
    batch_size: int,
    seed: int,
    augmentation: Augmentation | None = None,
    labelled_share: float = 0.0,
    start_step: int = 0,
    bad_files: str = "skip",
    max_bad_share: float = 0.1,
    workers: int | None = None,
    bad_file_log: BadFileLog | None = None,
    process_index: int = 0,
    process_count: int = 1,
) -> "tf.data.Dataset":
    """The endless stream of training batches, from `start_step` on.

    Batch s depends on `seed` and s alone: every video comes once an epoch, each epoch
    in another order (but for `labelled_share`); starting at step s gives what skipping
    s batches gives.

    Args:
        manifest: The videos; label -1 is passed on for unlabelled ones.
        spec: Shape and pace of the clips.
        batch_size: Clips in a step, over all processes; steps run across the ends of
            epochs.
        seed: Not negative.
        augmentation: What may vary from clip to clip; None for the defaults.
        labelled_share: Least share of the clips that have a label, in [0, 1). Where
            the manifest has less, labelled and other videos make two such streams that
            take turns, so that the labelled ones come again more often, and as many
            steps as there are videos show some of the others only later.
        start_step: Number of the first batch.
        bad_files: What to do with a video that cannot be read: `"raise"`, `"skip"`
            (another video takes its place) or `"resample"` (first other clips of the
            same video).
        max_bad_share: Stop when more than this share of the files (and more than one)
            is bad.
        workers: Decoding threads. None takes one for each processor, at most 16.
        bad_file_log: Collects bad files and keeps the error that ended the stream.
        process_index: Which of several training processes reads this stream, from 0.
        process_count: How many there are; each reads its own part of every step, see
            `sample_of_process`, and counts the bad files of its part only.

    Returns:
        Dataset of (clips, labels): uint8 `(batch, T + 1, size, size, 3)` and int32
        `(batch,)`, where `batch = batch_size / process_count`.

    Raises:
        ValueError: An argument is out of range.
        UserError: The manifest is empty. While iterating, `tf.data` wraps errors in
            its own; `bad_file_log.raise_if_failed()` raises the original.

    Example:

    ```python
    manifest = load_manifest("videos/")
    dataset = training_dataset(
        manifest, ClipSpec(num_frames=16, size=64, fps=12.0), batch_size=8, seed=0
    )
    model.fit(dataset, steps_per_epoch=len(manifest) // 8, epochs=10)
    ```
    """
    import tensorflow as tf

    if start_step < 0:
        raise ValueError(f"`start_step` must not be negative. Received: {start_step}.")
    _check_batch_size(batch_size)
    local_batch = local_batch_size(batch_size, process_count)
    # Refuses a wrong index here rather than in the threads of tf.data.
    sample_of_process(0, batch_size, process_index, process_count)
    clips = TrainingClips(
        manifest,
        spec,
        seed=seed,
        augmentation=augmentation,
        labelled_share=labelled_share,
        bad_files=bad_files,
        max_bad_share=max_bad_share,
        bad_file_log=bad_file_log,
    )
    shape = (spec.frames_per_clip, spec.size, spec.size, 3)
    load_sample = idle_at_exit(
        clips, lambda _: (np.zeros(shape, np.uint8), np.int32(UNLABELLED))
    )

    def load(local_sample):
        sample = sample_of_process(
            local_sample, batch_size, process_index, process_count
        )
        clip, label = tf.numpy_function(
            load_sample, [sample], [tf.uint8, tf.int32], stateful=False
        )
        clip.set_shape(shape)
        label.set_shape(())
        return clip, label

    return (
        tf.data.Dataset.range(start_step * local_batch, np.iinfo(np.int64).max)
        .map(load, num_parallel_calls=num_workers(workers), deterministic=True)
        .batch(local_batch, drop_remainder=True)
        .prefetch(BATCHES_AHEAD)
    )


def evaluation_dataset(
    manifest: Manifest,
    spec: ClipSpec,
    *,
    batch_size: int,
    num_clips: int = 1,
    num_crops: int = 1,
    bad_files: str = "skip",
    max_bad_share: float = 0.1,
    workers: int | None = None,
    bad_file_log: BadFileLog | None = None,
) -> "tf.data.Dataset":
    """Every view of every video once, in the order of the manifest.

    A video gives `num_clips * num_crops` rows, one after the other, clip by clip. Bad
    videos give none; the bad file log names them.

    Args:
        manifest: The videos.
        spec: Shape and pace of the clips.
        batch_size: Views in a batch; the last batch may be shorter.
        num_clips: Clips spread evenly over each video; one is the middle.
        num_crops: Squares spread evenly over the long side; one is the centre.
        bad_files: `"skip"` or `"raise"`.
        max_bad_share: Stop when more than this share of the files (and more than one)
            is bad.
        workers: Decoding threads. None takes one for each processor, at most 16.
        bad_file_log: Collects bad files and keeps the error that ended the stream.

    Returns:
        Dataset of (clips, labels, video_index): uint8 `(views, T + 1, size, size, 3)`,
        int32 `(views,)` and int32 `(views,)`, the video's index in the manifest.

    Raises:
        ValueError: An argument is out of range.
        UserError: The manifest is empty.

    Example:

    ```python
    spec = ClipSpec(num_frames=16, size=64, fps=12.0)
    for clips, labels, videos in evaluation_dataset(manifest, spec, batch_size=8):
        logits = model(clips)["logits"]
    ```
    """
    import tensorflow as tf

    _check_batch_size(batch_size)
    views = EvaluationViews(
        manifest,
        spec,
        num_clips=num_clips,
        num_crops=num_crops,
        bad_files=bad_files,
        max_bad_share=max_bad_share,
        bad_file_log=bad_file_log,
    )

    shape = (spec.frames_per_clip, spec.size, spec.size, 3)
    load_video = idle_at_exit(
        lambda index: (views(index), manifest.labels[index]),
        lambda _: (np.empty((0, *shape), np.uint8), np.int32(UNLABELLED)),
    )

    def load(index):
        clips, label = tf.numpy_function(
            load_video, [index], [tf.uint8, tf.int32], stateful=False
        )
        clips.set_shape((None, *shape))
        label.set_shape(())
        views_of_one = tf.shape(clips)[:1]
        return (
            clips,
            tf.fill(views_of_one, label),
            tf.fill(views_of_one, tf.cast(index, tf.int32)),
        )

    return (
        tf.data.Dataset.range(len(manifest))
        .map(load, num_parallel_calls=num_workers(workers), deterministic=True)
        .unbatch()
        .batch(batch_size)
        .prefetch(BATCHES_AHEAD)
    )


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: {batch_size}.")


def num_workers(workers: int | None) -> int:
    """Decoding threads: as many as given, or one for each processor, at most 16.

    Raises:
        ValueError: `workers` is less than 1.
    """
    if workers is None:
        return min(count_cpus(), _MAX_DEFAULT_WORKERS)
    if workers < 1:
        raise ValueError(
            f"`workers` must be at least 1 or None. Received: workers={workers}."
        )
    return workers
