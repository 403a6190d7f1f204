"""Several GPUs of one host on the TensorFlow backend."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import keras
import tensorflow as tf

from keras_dynamonet.errors import UserError
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.distribution import Distribution


class MirroredDevices(Distribution):
    """`tf.distribute.MirroredStrategy` under plain `fit`.

    Every device holds the weights and computes its share of the clips of a step; the
    gradients are added up. With `sync_batch_norm` the result is that of one device with
    the whole batch, but for the order of sums and the dropped inputs, which every
    device draws alike.

    Args:
        num_devices: Devices to use: GPUs where there are any, else logical CPUs.

    Raises:
        UserError: If there are fewer, or this process has used others before.

    Example:

    ```python
    train(config, distribution=MirroredDevices(8))
    ```
    """

    reads_ahead = True

    def __init__(self, num_devices: int):
        kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        names = [device.name for device in tf.config.list_logical_devices(kind)]
        if num_devices > len(names):
            raise UserError(
                f"--devices {num_devices}: TensorFlow sees {len(names)} {kind} here. "
                "Lower --devices."
            )
        self.num_devices = num_devices
        self._strategy = _strategy_of(tuple(names[:num_devices]))

    def scope(self) -> AbstractContextManager:
        return self._strategy.scope()

    def prepare_optimizer(self, optimizer: keras.Optimizer) -> None:
        """Clips the sum of all devices' gradients; Keras clips each device's share.

        With scaled losses a step is left out if the gradients of any device overflow;
        Keras asks the first one only.
        """
        # Scaled losses of mixed_float16 wrap the optimizer that clips.
        scaling, optimizer = optimizer, getattr(optimizer, "inner_optimizer", optimizer)
        if scaling is not optimizer:
            scaling.check_finite = _on_all_devices(scaling.check_finite)
        clip = optimizer._clip_gradients

        def clip_sum(gradients):
            context = tf.distribute.get_replica_context()
            present = [g for g in gradients if g is not None]
            clipped = iter(clip(context.all_reduce("SUM", present)))
            return [None if g is None else next(clipped) for g in gradients]

        optimizer._clip_gradients = clip_sum
        # They are added up already.
        optimizer._all_reduce_sum_gradients = list

    def batch_norm(self, config: TrainConfig) -> str:
        if config.sync_batch_norm:
            return "all clips of a step"
        return "the clips of each device"


def _on_all_devices(check: Callable[[list], Any]) -> Callable[[list], Any]:
    """A check of a device's gradients that fails if it fails on one of them."""

    def check_all(gradients):
        failed = tf.cast(tf.logical_not(check(gradients)), "float32")
        context = tf.distribute.get_replica_context()
        return tf.equal(context.all_reduce("SUM", failed), 0.0)

    return check_all


_strategies = {}


def _strategy_of(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """The one strategy of this process.

    TensorFlow numbers the exchanges of each strategy from the same start, so that those
    of a second one in the process would be taken for those of the first.

    Raises:
        UserError: If there is one of other devices.
    """
    if devices not in _strategies:
        if _strategies:
            [before] = _strategies
            raise UserError(
                f"--devices {len(devices)}: this process has trained on {len(before)} "
                "devices before, and TensorFlow cannot change their number. Start "
                "another process."
            )
        _strategies[devices] = tf.distribute.MirroredStrategy(devices)
    return _strategies[devices]
