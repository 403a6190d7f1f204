"""Work for the tests of races: cheap, and told apart by what it returns."""

import os
import time

import numpy as np

from benchmarks.contestant import Work


def sleep(seconds: float, value: float, threads: int) -> Work:
    """Sleeps; its proof is an array of one value."""
    print("libraries print to standard output")
    runtime = os.environ.get("RUNTIME", f"{threads} threads")

    def outputs():
        return {"value": np.full((2, 2), value)}

    return Work(lambda: time.sleep(seconds), outputs, runtime, units=2)


def broken(threads: int) -> Work:
    """Cannot be loaded."""
    raise OSError("no such network")
