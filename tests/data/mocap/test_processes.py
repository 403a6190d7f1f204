import subprocess
import sys

import pytest

from keras_dynamonet.data.mocap.clips import ClipParameters
from keras_dynamonet.data.mocap.jobs import Job
from keras_dynamonet.data.mocap.processes import run_jobs


def test_no_jobs_no_records(tmp_path):
    parameters = ClipParameters(16, 3, 12.0, "still", 0)
    assert list(run_jobs([], parameters, tmp_path, None)) == []


def test_a_failing_worker_is_reported(tmp_path):
    jobs = [Job("train", index, ("hopscotch",)) for index in range(2)]
    parameters = ClipParameters(16, 3, 12.0, "still", 0)
    message = "A rendering process ended with 1: ValueError: 'hopscotch'"
    with pytest.raises(RuntimeError, match=message):
        list(run_jobs(jobs, parameters, tmp_path, processes=2))


def test_workers_stay_light():
    code = (
        "import sys, keras_dynamonet.data.mocap.worker;"
        "print([name for name in ('keras', 'tensorflow') if name in sys.modules])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == "[]"
