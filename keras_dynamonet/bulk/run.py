"""Running a bulk inference to its end, on one engine or the other."""

import functools
import time
from collections.abc import Callable
from pathlib import Path

from keras_dynamonet.bulk import ENGINES
from keras_dynamonet.bulk.job import BulkJob, parts_of
from keras_dynamonet.bulk.output import (
    BulkSummary,
    close_output,
    job_identity,
    missing_parts,
    open_output,
)
from keras_dynamonet.bulk.ray_engine import import_ray, run_on_ray
from keras_dynamonet.bulk.table import import_pyarrow
from keras_dynamonet.bulk.worker import PartResult, PartWriter
from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.data.places import local_folder
from keras_dynamonet.errors import UserError


def run_bulk(
    job: BulkJob,
    manifest: Manifest,
    out: str | Path,
    *,
    engine: str = "local",
    workers: int | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    on_part: Callable[[PartResult], None] | None = None,
) -> BulkSummary:
    """Describes every video of a manifest in exactly one row.

    The output is a folder of Parquet files, one a part (see `bulk.table` for the
    columns), in the order of the manifest. A part is written whole or not at all: the
    same call made again after a crash goes on with the parts that are missing.

    Args:
        job: What to compute.
        manifest: The videos.
        out: The folder.
        engine: `"local"`: this process alone. `"ray"`: several processes, on one
            machine or on a Ray cluster, which must all see model, videos and folder.
        workers: Processes of the engine `"ray"`. Default: what the cluster has room
            for.
        threads: Threads that a process reads videos with, and with Ray on TensorFlow
            computes with, too. Default: one for each processor; with Ray, one.
        overwrite: Whether to replace what the folder holds, the output of another job
            or an earlier one of this job.
        progress: Called with videos done and videos in all.
        on_part: Called with each part as it is finished.

    Returns:
        The counts.

    Raises:
        UserError: If an argument is out of range, the model cannot be loaded, or the
            folder is an address or holds something else.

    Example:

    ```python
    job = BulkJob(model="runs/first")
    summary = run_bulk(job, load_manifest("videos", labelled=False), "vectors")
    pandas.read_parquet("vectors")
    ```
    """
    import_pyarrow()
    if engine not in ENGINES:
        raise UserError(f"`engine` must be one of {', '.join(ENGINES)}: {engine!r}.")
    for name, value in (("workers", workers), ("threads", threads)):
        if value is not None and value < 1:
            raise UserError(f"`{name}` must be at least 1. Received: {value}.")
    if engine == "local" and workers not in (None, 1):
        raise UserError(
            "the local engine is one process: leave out --workers, or take --engine "
            "ray."
        )
    began, out = time.monotonic(), local_folder(out)
    # Before anything is replaced: what cannot be done leaves the former output alone.
    # Whether Ray's workers can load the model, on their GPUs, they find out themselves.
    if engine == "ray":
        import_ray()
        write = functools.partial(
            run_on_ray, job, out, workers=workers, threads=threads or 1
        )
    else:
        write = functools.partial(map, PartWriter(job, out, threads=threads))
    open_output(out, job_identity(job, manifest), overwrite=overwrite)
    num_parts = job.num_parts(len(manifest))
    missing = missing_parts(out, num_parts)
    done = len(manifest) - sum(len(job.part_range(k, len(manifest))) for k in missing)
    seen = set()
    for result in write(parts_of(manifest, job, missing)) if missing else ():
        done += result.videos
        seen.add(result.worker)
        if on_part is not None:
            on_part(result)
        if progress is not None:
            progress(done, len(manifest))
    return close_output(
        out,
        videos=len(manifest),
        skipped_parts=num_parts - len(missing),
        workers=len(seen),
        seconds=round(time.monotonic() - began, 3),
    )
