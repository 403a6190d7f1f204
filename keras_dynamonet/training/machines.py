"""Which devices and processes take part in a run, and how they find each other."""

import json
import logging
import os
from dataclasses import dataclass

import keras
import tensorflow as tf

from keras_dynamonet.errors import UserError, first_line
from keras_dynamonet.training.distribution import Distribution

HEARTBEAT_TIMEOUT_SECONDS = 30
"""How long a process may be silent before the others give it up for lost."""

_SHUTDOWN_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Machines:
    """What a run is computed on. It can change when the run is resumed.

    Args:
        devices: Devices of each process. Default: one, or with `coordinator` those that
            JAX takes: all, under SLURM and Open MPI one.
        coordinator: `host:port` of process 0 for several processes, or `"auto"` to find
            it as JAX does from SLURM, Open MPI or Kubernetes.
        processes: Number of processes; found like the coordinator if not given.
        process_index: Which of them this is, from 0; found like the coordinator.

    Raises:
        UserError: If a number is out of range, or says something about processes
            without a coordinator.
    """

    devices: int | None = None
    coordinator: str | None = None
    processes: int | None = None
    process_index: int | None = None

    def __post_init__(self):
        for name, smallest in (("devices", 1), ("processes", 1), ("process_index", 0)):
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise UserError(
                    f"`{name}` must be at least {smallest}. Received: {value}."
                )
        several = (self.processes, self.process_index) != (None, None)
        if several and self.coordinator is None:
            raise UserError(
                "--processes and --process-index need --coordinator HOST:PORT, the "
                "address of process 0."
            )
        if self.coordinator not in (None, "auto") and ":" not in self.coordinator:
            raise UserError(
                "`coordinator` must be HOST:PORT or auto. "
                f"Received: {self.coordinator!r}."
            )


def join(machines: Machines) -> Distribution:
    """Joins the other processes and prepares the devices.

    Call it before anything is computed.

    Args:
        machines: Who takes part.

    Returns:
        How steps are shared out.

    Raises:
        UserError: If the backend cannot train like this, devices are missing, or the
            processes do not find each other.

    Example:

    >>> join(Machines()).num_devices
    1
    """
    _refuse_unsaid_processes(machines)
    backend = keras.backend.backend()
    if machines.coordinator is not None and backend != "jax":
        raise UserError(
            f"several processes train on JAX, not on {backend}: set KERAS_BACKEND=jax."
        )
    if backend == "jax":
        # tf.data only feeds JAX; left to itself TensorFlow would fill the GPUs.
        tf.config.set_visible_devices([], "GPU")
    if machines.coordinator is not None:
        _start_jax(machines)
    elif machines.devices in (None, 1):
        return Distribution()
    if backend == "jax":
        from keras_dynamonet.training.jax_devices import JaxDevices

        return JaxDevices(machines.devices)
    if backend == "tensorflow":
        from keras_dynamonet.training.mirrored_devices import MirroredDevices

        return MirroredDevices(machines.devices)
    raise UserError(
        f"--devices {machines.devices}: several devices train on TensorFlow or JAX, "
        f"not on {backend}. Set KERAS_BACKEND."
    )


def _start_jax(machines: Machines) -> None:
    import jax

    found = machines.coordinator == "auto"
    # JAX tells each GPU and each connection at this level.
    logging.getLogger("jax._src.distributed").setLevel(logging.ERROR)
    try:
        jax.distributed.initialize(
            None if found else machines.coordinator,
            machines.processes,
            machines.process_index,
            # Left to itself, JAX takes one device a process under SLURM and Open MPI.
            local_device_ids=_local_device_ids(machines.devices),
            heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT_SECONDS,
            shutdown_timeout_seconds=_SHUTDOWN_TIMEOUT_SECONDS,
        )
    except (RuntimeError, ValueError, TypeError) as error:
        hint = (
            "Start it with srun, mpirun or a Kubernetes job (with the package "
            "`kubernetes` installed), or name --coordinator HOST:PORT, --processes and "
            "--process-index."
            if found
            else "Give each process the address of process 0, their number and its own."
        )
        reason = first_line(str(error)).rstrip(".")
        raise UserError(f"the processes do not meet: {reason}. {hint}") from error


def _local_device_ids(devices: int | None) -> list[int] | None:
    return None if devices in (None, 1) else list(range(devices))


def _refuse_unsaid_processes(machines: Machines) -> None:
    """Several processes that know nothing of each other would share one folder."""
    if machines.coordinator is not None:
        return
    for launcher, variable in (
        ("srun", "SLURM_STEP_NUM_TASKS"),
        ("mpirun", "OMPI_COMM_WORLD_SIZE"),
    ):
        count = os.environ.get(variable, "1")
        if count.isdigit() and int(count) > 1:
            raise UserError(
                f"{launcher} started {count} processes: let them train together with "
                "--coordinator auto, or start one."
            )
    try:
        cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
    except ValueError as error:
        raise UserError(f"TF_CONFIG is no valid JSON: {error}.") from error
    workers = sum(len(cluster.get(kind, ())) for kind in ("chief", "worker"))
    if workers > 1:
        raise UserError(
            f"TF_CONFIG names {workers} workers, but Keras 3 cannot train under "
            "MultiWorkerMirroredStrategy. Train on several hosts with "
            "KERAS_BACKEND=jax and --coordinator, and unset TF_CONFIG."
        )
