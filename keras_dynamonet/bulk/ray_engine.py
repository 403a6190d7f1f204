"""Several workers at once, on one machine or on a cluster, through Ray Data.

Ray starts the workers, hands out the parts, starts killed workers anew and gives their
parts out again. A part is written whole or not at all, so that doing one twice changes
nothing.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dynamonet.bulk.job import BulkJob, Part
from keras_dynamonet.errors import MissingExtraError, UserError

if TYPE_CHECKING:
    from keras_dynamonet.bulk.worker import PartResult


_RETRIES = 5


class RayPartWriter:
    """The actor: a :class:`PartWriter` in a process of its own.

    Args:
        job: What to compute.
        out: Folder of the output.
        threads: Threads of this worker.
        backend: The backend of Keras.
        folder: Working folder of the command, where relative paths start.
    """

    def __init__(
        self, job: BulkJob, out: Path, threads: int, backend: str, folder: str
    ):
        os.chdir(folder)
        os.environ["KERAS_BACKEND"] = backend
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        from keras_dynamonet.exporters.runtimes import limit_tensorflow

        limit_tensorflow(threads)
        from keras_dynamonet.bulk.worker import PartWriter

        self._write = PartWriter(job, out, threads=threads)

    def __call__(self, row: dict) -> dict:
        """Writes the part in a row of the data set; returns the result as a row."""
        return asdict(self._write(Part(int(row["number"]), tuple(row["paths"]))))


def import_ray():
    """The `ray` package.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("The engine `ray`", "ray") from error
    return ray


def run_on_ray(
    job: BulkJob,
    out: Path,
    parts: Iterable[Part],
    *,
    workers: int | None,
    threads: int,
) -> Iterator["PartResult"]:
    """Writes parts with several workers.

    Joins the cluster that `RAY_ADDRESS` names, or starts one on this machine. Where the
    cluster has GPUs, each worker gets one.

    Args:
        job: What to compute.
        out: Folder of the output.
        parts: The parts to write.
        workers: Workers. Default: as many as the cluster has room for.
        threads: Threads of each.

    Yields:
        The parts, as they are finished.

    Raises:
        MissingExtraError: If Ray is not installed.
        UserError: If the cluster has no room for the workers, or a worker cannot load
            the model or write.
    """
    # Not at the top: actors import this module before they know the backend.
    import keras

    from keras_dynamonet.bulk.worker import PartResult

    ray = import_ray()
    started = not ray.is_initialized()
    if started:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        resources = ray.cluster_resources()
        workers = count_workers(resources, workers, threads=threads)
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        rows = [asdict(part) for part in parts]
        results = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            RayPartWriter,
            fn_constructor_args=(
                *(job, out.resolve(), threads, keras.backend.backend()),
                os.getcwd(),
            ),
            concurrency=min(workers, len(rows)),
            num_cpus=threads,
            num_gpus=1 if resources.get("GPU") else 0,
            # A video that crashes the decoder kills worker after worker.
            max_task_retries=_RETRIES,
        )
        for row in results.iter_rows():
            yield PartResult(**row)
    except ray.exceptions.RayError as error:
        raise UserError(reason(error)) from error
    finally:
        if started:
            ray.shutdown()


def count_workers(
    resources: Mapping[str, float], workers: int | None, *, threads: int
) -> int:
    """Workers to start on a cluster.

    Args:
        resources: `CPU` and `GPU` that the cluster has; with GPUs a worker needs one.
        workers: Workers asked for; `None` for as many as there is room for.
        threads: Threads, and so processors, of each.

    Raises:
        UserError: If there is no room for them.

    Example:

    >>> count_workers({"CPU": 16.0}, None, threads=2)
    8
    >>> count_workers({"CPU": 16.0, "GPU": 4.0}, None, threads=2)
    4
    """
    room = int(resources.get("CPU", 0) // threads)
    if resources.get("GPU"):
        room = min(room, int(resources["GPU"]))
    wanted = workers or max(1, room)
    if wanted > room:
        raise UserError(
            f"the Ray cluster has room for {room} workers of {threads} threads, not "
            f"for {wanted}. Lower --workers or --threads, or add machines."
        )
    return wanted


def reason(error: BaseException | None) -> str:
    """What went wrong in a worker: our own message, else the last line.

    Of an actor that could not start Ray hands on no exception, only the text of it.
    """
    lines = []
    while error is not None:
        text = str(getattr(error, "cause", None) or error)
        lines += [line.strip() for line in text.splitlines() if line.strip()]
        error = error.__cause__
    own = [line for line in lines if line.startswith(UserError.__module__ + ".")]
    if own:
        return own[-1].partition(": ")[2]
    return lines[-1] if lines else "a Ray worker failed without a message."
