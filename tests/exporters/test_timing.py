import sys
import time

import numpy as np
import pytest

from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters import timing, timing_worker
from keras_dynamonet.exporters.timing import Case, measure, time_in_process
from tests.fresh_process import run_python


def test_every_run_is_timed_after_a_warm_up():
    seen = []

    def run(clips):
        seen.append(clips)
        time.sleep(0.002)

    report = measure(
        run, np.ones((3, 4)), duration_seconds=0.0, iterations=5, warm_up_seconds=0.0
    )
    assert len(seen) == 7  # two of them to warm up
    assert (len(report.latencies_ms), report.batch) == (5, 3)
    assert min(report.latencies_ms) >= 2.0
    assert report.walltime_seconds >= sum(report.latencies_ms) / 1e3 - 1e-6


def test_measuring_goes_on_for_the_duration():
    report = measure(
        lambda clips: time.sleep(0.001),
        np.ones((1, 4)),
        duration_seconds=0.05,
        iterations=1,
        warm_up_seconds=0.0,
    )
    assert report.walltime_seconds >= 0.05
    assert len(report.latencies_ms) > 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch": 0}, "`batch` must be at least 1. Received: 0"),
        ({"threads": 0}, "`threads` must be at least 1"),
        ({"iterations": 0}, "`iterations` must be at least 1"),
        ({"duration_seconds": -1.0}, "`duration_seconds` must be a number of at lea"),
        ({"warm_up_seconds": float("inf")}, "`warm_up_seconds` must be a number"),
    ],
)
def test_cases_are_checked(settings, message):
    with pytest.raises(UserError, match=message):
        Case("nano-16f", "keras-predict", **settings)


def test_a_process_that_dies_is_an_error(monkeypatch):
    monkeypatch.setattr(timing, "_WORKER", "keras_dynamonet.no_such_module")
    with pytest.raises(UserError, match="net.onnx: onnxruntime ended with status 1 at"):
        time_in_process(Case("net.onnx", "onnxruntime"))


def test_the_reason_of_tensorflow_is_told_without_its_heading():
    def fail():
        raise RuntimeError(
            "Graph execution error:\n\nOOM when allocating [[{{node a}}]]"
        )

    case = Case("net.keras", "keras-function")
    with pytest.raises(UserError, match="net.keras: .* cannot run it: OOM when alloc"):
        timing_worker._explained(case, "run it", fail)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_peak_memory_grows_and_stays():
    held = run_python(
        "-c",
        "from keras_dynamonet.exporters.timing_worker import peak_memory_mib as peak\n"
        "before = peak()\n"
        "block = bytearray(int(before + 64) * 2**20)\n"
        "del block\n"
        "print(peak() - before)",
    )
    assert 64 <= float(held) < 1000
