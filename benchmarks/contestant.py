"""A process that holds one piece of work, ready to run it on demand.

Contestants of a race are loaded and warm side by side, each in its own process, and run
in turn: their threads, their memory and their libraries cannot get into each other's
way.

    python -m benchmarks.contestant '{"work": "benchmarks.inference_work:pytorch", ...}'

Requests come as lines of JSON on standard input, answers go to standard output.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Work:
    """What a contestant does.

    Args:
        step: One run; it returns when the result is there.
        outputs: Arrays by name that prove that all contestants do the same. Called
            once, before the first step.
        runtime: What computes, with its version.
        units: Clips (or whatever is counted) in one step.
    """

    step: Callable[[], Any]
    outputs: Callable[[], Mapping[str, np.ndarray]]
    runtime: str
    units: int = 1


@dataclass(eq=False)
class Contestant:
    """A piece of work in a process of its own. Use as a context manager.

    Once started, `runtime` and `units` are those of its :class:`Work`, and `held_mib`
    is the memory that it has needed up to then.

    Args:
        name: For the tables.
        work: `module:function`; the function returns :class:`Work`.
        settings: Its keyword arguments, plain values.
        threads: CPUs it may use; every pool of threads is limited to as many.
        python: The interpreter.
        environment: Further environment variables.
    """

    name: str
    work: str
    settings: dict = field(default_factory=dict)
    threads: int = 1
    python: str = sys.executable
    environment: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> "Contestant":
        document = {
            "work": self.work,
            "settings": self.settings,
            "threads": self.threads,
        }
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [self.python, "-m", "benchmarks.contestant", json.dumps(document)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env={**os.environ, **thread_limits(self.threads), **self.environment},
        )
        try:
            facts = self._receive()
        except RuntimeError:
            self.__exit__()
            raise
        self.runtime, self.units = facts["runtime"], facts["units"]
        self.held_mib = facts["held_mib"]
        return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def outputs(self) -> dict[str, np.ndarray]:
        """The proof of what it computes."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "outputs.npz")
            self._ask({"outputs": path})
            with np.load(path) as arrays:
                return dict(arrays)

    def run(self, count: int) -> list[float]:
        """Runs so many steps; the seconds of each."""
        return self._ask({"run": count})["seconds"]

    def peak_memory_mib(self) -> float:
        """The most memory that the process has held."""
        return self._ask({"memory": True})["peak_memory_mib"]

    def _ask(self, request):
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._receive()

    def _receive(self):
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        self._errors.seek(0)
        said = self._errors.read().strip().splitlines() or ["no message"]
        raise RuntimeError(f"{self.name}: ended: " + "\n".join(said[-12:]))


def thread_limits(threads: int) -> dict[str, str]:
    """Environment variables that limit the pools of every library to so many."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {
        **dict.fromkeys(names, str(threads)),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
    }


def main(argument: str) -> None:
    """Loads the work and answers requests until standard input ends."""
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    document = json.loads(argument)
    if hasattr(os, "sched_setaffinity"):
        cpus = sorted(os.sched_getaffinity(0))[: document["threads"]]
        os.sched_setaffinity(0, cpus)
    module, _, name = document["work"].partition(":")
    function = getattr(importlib.import_module(module), name)
    work = function(threads=document["threads"], **document["settings"])
    from keras_dynamonet.exporters.timing_worker import peak_memory_mib

    def answer(content):
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    held = peak_memory_mib()
    answer({"runtime": work.runtime, "units": work.units, "held_mib": held})
    for line in sys.stdin:
        request = json.loads(line)
        if "outputs" in request:
            np.savez(request["outputs"], **work.outputs())
            answer({})
        elif "memory" in request:
            answer({"peak_memory_mib": peak_memory_mib()})
        else:
            seconds = []
            for _ in range(request["run"]):
                before = time.perf_counter()
                work.step()
                seconds.append(time.perf_counter() - before)
            answer({"seconds": seconds})


if __name__ == "__main__":
    main(sys.argv[1])
