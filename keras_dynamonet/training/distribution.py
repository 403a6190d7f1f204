"""How a training step is shared out over devices and processes."""

import contextlib
from contextlib import AbstractContextManager
from typing import Any

import keras

from keras_dynamonet.errors import UserError
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.interruption import StopRequest
from keras_dynamonet.training.run_directory import RunDirectory


class LostProcessError(UserError):
    """Another process of the run was killed, or its machine failed."""


class Distribution:
    """One process with one device: nothing is shared out.

    The other forms, :class:`MirroredDevices` and :class:`JaxDevices`, give the same
    methods a meaning. Whatever the form, a step takes `batch_size` clips in all.

    Attributes:
        num_devices: Devices of all processes together.
        num_processes: Processes that train together.
        process_index: Which of them this is, from 0.
        reads_ahead: Whether devices fetch the next step's clips while they compute, so
            that waiting for data cannot be seen.
    """

    num_devices = 1
    num_processes = 1
    process_index = 0
    reads_ahead = False

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes the run's files."""
        return self.process_index == 0

    def active(self) -> AbstractContextManager:
        """Everything that belongs to the run happens inside."""
        return contextlib.nullcontext()

    def scope(self) -> AbstractContextManager:
        """Models and optimizers that are trained are made inside."""
        return contextlib.nullcontext()

    def local(self) -> AbstractContextManager:
        """Models made inside belong to this process alone."""
        return contextlib.nullcontext()

    def prepare_optimizer(self, optimizer: keras.Optimizer) -> None:
        """Lets an optimizer treat the gradient of a shared step as one."""

    def wait_for_all(self, name: str) -> None:
        """Returns once every process has come here."""

    def check_agreement(self, what: str, text: str) -> None:
        """Refuses to go on unless `text` is the same in every process.

        Args:
            what: What it says, e.g. `"the training videos"`.
            text: Anything, e.g. a fingerprint.

        Raises:
            UserError: If it is not.
        """

    def stop_request(self) -> StopRequest:
        """Notices signals that ask to stop, in all processes at the same step."""
        return StopRequest()

    def watch(self, run: RunDirectory) -> AbstractContextManager:
        """Training happens inside; says so if another process is lost.

        Raises:
            LostProcessError: If it is.
        """
        return contextlib.nullcontext()

    def check(self, config: TrainConfig) -> None:
        """Checks that a configuration can be shared out like this.

        Raises:
            UserError: If the clips of a step cannot be dealt out evenly, or batch
                normalisation cannot be what it is asked to be.
        """
        if config.batch_size % self.num_devices:
            raise UserError(
                f"`batch_size` must be a multiple of the {self.num_devices} devices "
                f"that share a step. Received: batch_size={config.batch_size}."
            )

    def batch_norm(self, config: TrainConfig) -> str:
        """Which clips the statistics of batch normalisation are taken over."""
        return "all clips of a step"

    def describe(self, config: TrainConfig) -> dict[str, Any]:
        """What is computed where, for people to read and for `environment.json`.

        Example:

        >>> Distribution().describe(TrainConfig(batch_size=8))["clips_a_device"]
        8
        """
        clips = config.batch_size // self.num_processes
        rate = config.peak_learning_rate
        scaled = config.scale_learning_rate == "linear"
        return {
            "backend": keras.backend.backend(),
            "processes": self.num_processes,
            "devices": self.num_devices,
            "global_batch": config.batch_size,
            "clips_a_process": clips,
            "clips_a_device": config.batch_size // self.num_devices,
            "batch_norm_over": self.batch_norm(config),
            "learning_rate": rate,
            "learning_rate_rule": (
                f"{config.learning_rate:g} x {config.batch_size} / "
                f"{config.learning_rate_batch}"
                if scaled
                else "as given, whatever the batch"
            ),
            "data_sharding": (
                f"process p of {self.num_processes} reads samples p * {clips} to "
                f"(p + 1) * {clips} - 1 of every step"
            ),
        }
