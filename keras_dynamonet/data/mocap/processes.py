"""Rendering jobs shared among worker processes."""

import contextlib
import dataclasses
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from keras_dynamonet.data.mocap.clips import ClipParameters
from keras_dynamonet.data.mocap.jobs import Job, run_job
from keras_dynamonet.errors import UserError
from keras_dynamonet.machine import count_cpus

COMMAND = (sys.executable, "-P", "-m", "keras_dynamonet.data.mocap.worker")
# Exit status of a worker whose last line on standard error is for the user to read.
USERS_TROUBLE = 3


def run_jobs(
    jobs: list[Job], parameters: ClipParameters, root: Path, processes: int | None
) -> Iterator[dict]:
    """Runs rendering jobs and yields a record per finished clip, in no fixed order.

    Args:
        jobs: What to render.
        parameters: Shared by all clips.
        root: Folder of the benchmark.
        processes: Number of processes; as many as there are processors if `None`. With
            one, the jobs run in this process.
    """
    processes = min(processes or count_cpus(), len(jobs))
    if processes <= 1:
        for job in jobs:
            yield from run_job(job, parameters, root)
        return
    yield from _share_out(jobs, parameters, root, processes)


def _share_out(
    jobs: list[Job], parameters: ClipParameters, root: Path, processes: int
) -> Iterator[dict]:
    """Deals the jobs out to worker processes and yields records as they come."""
    finished: queue.Queue = queue.Queue()
    package_root = Path(__file__).resolve().parents[3]
    search_path = [str(package_root), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, search_path)),
        # One process per processor: threads within a process would only compete.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    with contextlib.ExitStack() as stack:
        for number in range(processes):
            errors = stack.enter_context(tempfile.TemporaryFile("w+"))
            worker = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )
            order = {
                "parameters": dataclasses.asdict(parameters),
                "root": str(root),
                "jobs": [dataclasses.asdict(job) for job in jobs[number::processes]],
            }
            conversation = threading.Thread(
                target=_converse, args=(worker, order, errors, finished), daemon=True
            )
            # Undone in reverse: a worker is stopped, listened out, then closed.
            stack.enter_context(worker)
            conversation.start()
            stack.callback(conversation.join)
            stack.callback(worker.kill)
        running = processes
        while running:
            message = finished.get()
            if message is None:
                running -= 1
            elif isinstance(message, Exception):
                raise message
            else:
                yield message


def _converse(
    worker: subprocess.Popen, order: dict, errors: TextIO, finished: queue.Queue
) -> None:
    """Hands a worker its jobs and queues its records, then `None` or an error."""
    with contextlib.suppress(BrokenPipeError):
        json.dump(order, worker.stdin)
        worker.stdin.close()
    for line in worker.stdout:
        finished.put(json.loads(line))
    if worker.wait() == 0:
        finished.put(None)
        return
    errors.seek(0)
    said = errors.read().strip() or "no reason given"
    if worker.returncode == USERS_TROUBLE:
        finished.put(UserError(f"Rendering stopped: {said.splitlines()[-1]}"))
    elif worker.returncode < 0:
        finished.put(
            UserError(
                f"A rendering process was ended by signal {-worker.returncode}. Short "
                "of memory? Called again with fewer processes, rendering goes on."
            )
        )
    else:
        finished.put(
            RuntimeError(f"A rendering process ended with {worker.returncode}:\n{said}")
        )
