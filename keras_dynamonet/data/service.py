"""Training batches that the workers of a tf.data service decode on other hosts."""

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from keras_dynamonet.data.clip_sampling import ClipSpec
from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.data.pipeline import BATCHES_AHEAD
from keras_dynamonet.data.process_share import local_batch_size, sample_of_process
from keras_dynamonet.data.transforms import Augmentation
from keras_dynamonet.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

_CONNECT_SECONDS = 10.0


def service_dataset(
    manifest: Manifest,
    spec: ClipSpec,
    *,
    service: str,
    batch_size: int,
    seed: int,
    augmentation: Augmentation | None = None,
    labelled_share: float = 0.0,
    start_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> "tf.data.Dataset":
    """The endless stream of training batches, read and decoded by a tf.data service.

    Each sample number goes to one worker, so that every video comes as often as in
    `training_dataset`, but clips arrive in the order in which the workers finish them:
    with more than one worker two runs differ in which clips share a batch, and a
    resumed run may repeat or miss the few that were on their way. A worker that dies
    takes those with it.
    Bad records end the run: scan packed data before.

    Args:
        manifest: Packed videos, whose folder all workers reach by the same path.
        spec: Shape and pace of the clips; short videos cannot be skipped.
        service: Address of the dispatcher, e.g. `"grpc://10.0.0.1:5000"`.
        batch_size: Clips in a step, over all processes.
        seed: Not negative.
        augmentation: What may vary from clip to clip; None for the defaults.
        labelled_share: Least share of the clips that have a label, as for
            `training_dataset`.
        start_step: Number of the first batch.
        process_index: Which of several training processes reads this stream.
        process_count: How many there are.

    Returns:
        Dataset of (clips, labels), as `training_dataset` has it.

    Raises:
        UserError: Nobody listens at the address, a video is not packed, or short ones
            are to be skipped.
        ValueError: An argument is out of range.

    Example:

    ```python
    dataset = service_dataset(
        load_manifest("packed"),
        ClipSpec(num_frames=16, size=112, fps=12.0),
        service="grpc://10.0.0.1:5000",
        batch_size=32,
        seed=0,
    )
    ```
    """
    import tensorflow as tf

    from keras_dynamonet.data.graph_clips import graph_clip_loader

    if start_step < 0:
        raise ValueError(f"`start_step` must not be negative. Received: {start_step}.")
    local_batch = local_batch_size(batch_size, process_count)
    sample_of_process(0, batch_size, process_index, process_count)
    load = graph_clip_loader(
        manifest,
        spec,
        seed=seed,
        augmentation=augmentation or Augmentation(),
        labelled_share=labelled_share,
    )
    _check_service(service)

    def load_local(local_sample):
        return load(
            sample_of_process(local_sample, batch_size, process_index, process_count)
        )

    return (
        tf.data.Dataset.range(start_step * local_batch, np.iinfo(np.int64).max)
        .map(load_local, num_parallel_calls=tf.data.AUTOTUNE)
        .apply(
            tf.data.experimental.service.distribute(
                tf.data.experimental.service.ShardingPolicy.DYNAMIC, service
            )
        )
        .batch(local_batch, drop_remainder=True)
        .prefetch(BATCHES_AHEAD)
    )


def _check_service(service: str) -> None:
    """Raises at once where TensorFlow would try for an hour."""
    address = urlsplit(service)
    try:
        host, port = address.hostname, address.port
    except ValueError:
        host, port = None, None
    if address.scheme != "grpc" or not host or not port:
        raise UserError(
            f"{service}: is no address of a data service: write grpc://HOST:PORT."
        )
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"{service}: no data service answers there ({error.strerror or error}). "
            "Start its dispatcher first."
        ) from error
