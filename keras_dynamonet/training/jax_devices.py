"""Devices of one or many hosts on the JAX backend."""

import collections
import contextlib
import hashlib
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import FrameType

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils

from keras_dynamonet.errors import UserError
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.distribution import Distribution, LostProcessError
from keras_dynamonet.training.interruption import StopRequest
from keras_dynamonet.training.run_directory import RunDirectory

# What broken connections look like on CPUs, on GPUs, and to the coordinator.
_SIGNS_OF_LOSS = ("Gloo", "NCCL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "heartbeat")


class JointStopRequest(StopRequest):
    """Stops all processes after the same step when any of them gets a signal.

    JAX's preemption service notes SIGTERM in any process and agrees with the others on
    the step; SIGINT is passed on to it. All processes must look at `requested` equally
    often.
    """

    SIGNALS = (signal.SIGINT,)

    def __init__(self):
        super().__init__()
        self._asked = 0
        self._agreed = False

    @property
    def requested(self) -> bool:
        """Whether all processes stop here."""
        if not self._agreed:
            self._asked += 1
            self._agreed = multihost_utils.reached_preemption_sync_point(self._asked)
        return self._agreed

    def _note(self, number: int, frame: FrameType | None) -> None:
        super()._note(number, frame)
        signal.raise_signal(signal.SIGTERM)


class JaxDevices(Distribution):
    """`keras.distribution.DataParallel`, over `jax.distributed` if that was started.

    Every device holds the weights and computes its share of the clips of a step. One
    program is compiled for all of them, in which a mean over the batch is a mean over
    all clips: batch normalisation is always synchronised, and the losses are those of
    one device with the whole batch.

    Args:
        devices_a_process: Devices that each process uses, the first ones it has; `None`
            for all.

    Raises:
        UserError: If a process has fewer.

    Example:

    ```python
    train(config, distribution=JaxDevices(8))
    ```
    """

    def __init__(self, devices_a_process: int | None = None):
        self.num_processes = jax.process_count()
        self.process_index = jax.process_index()
        used = []
        for process in range(self.num_processes):
            devices = [d for d in jax.devices() if d.process_index == process]
            if len(devices) < (devices_a_process or 1):
                raise UserError(
                    f"--devices {devices_a_process}: JAX sees {len(devices)} in "
                    f"process {process}. Lower --devices."
                )
            used.extend(devices[:devices_a_process])
        self.num_devices = len(used)
        counts = collections.Counter(device.process_index for device in used)
        if len(set(counts.values())) > 1:
            raise UserError(
                f"The processes see {sorted(set(counts.values()))} devices: give all "
                "of them the same number with --devices."
            )
        # Each process reads its own part of a step already.
        self._distribution = keras.distribution.DataParallel(
            devices=[f"{device.platform}:{device.id}" for device in used],
            auto_shard_dataset=False,
        )

    def active(self) -> AbstractContextManager:
        return self._distribution.scope()

    @contextlib.contextmanager
    def local(self) -> Iterator[None]:
        before = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)

    def wait_for_all(self, name: str) -> None:
        multihost_utils.sync_global_devices(name)

    def check_agreement(self, what: str, text: str) -> None:
        digest = hashlib.sha256(text.encode()).digest()[:8]
        own = np.frombuffer(digest, np.uint32)
        everyone = np.reshape(multihost_utils.process_allgather(own), (-1, own.size))
        for process, other in enumerate(everyone):
            if not np.array_equal(other, everyone[0]):
                raise UserError(
                    f"{what} of process {process} are not those of process 0. Start "
                    "all processes with the same arguments on the same data."
                )

    def stop_request(self) -> StopRequest:
        return JointStopRequest() if self.num_processes > 1 else StopRequest()

    @contextlib.contextmanager
    def watch(self, run: RunDirectory) -> Iterator[None]:
        try:
            yield
        except (jax.errors.JaxRuntimeError, ValueError) as error:
            lost = any(sign in str(error) for sign in _SIGNS_OF_LOSS)
            if self.num_processes == 1 or isinstance(error, UserError) or not lost:
                raise
            raise LostProcessError(
                "another process of the run was lost (killed, or its machine failed), "
                "so this one stops. Go on from the last checkpoint, with as many "
                f"processes as you like: dynamonet train --resume {run.path}"
            ) from error

    def check(self, config: TrainConfig) -> None:
        super().check(config)
        if config.sync_batch_norm is False and self.num_devices > 1:
            raise UserError(
                "--no-sync-batch-norm: on JAX batch normalisation always sees all "
                "clips of a step. Leave the flag out."
            )
