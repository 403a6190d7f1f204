import subprocess
import sys

import pytest

from keras_dynamonet.data.mocap import processes
from keras_dynamonet.data.mocap.clips import ClipParameters
from keras_dynamonet.data.mocap.jobs import Job
from keras_dynamonet.data.mocap.processes import run_jobs
from keras_dynamonet.errors import UserError


def test_no_jobs_no_records(tmp_path):
    parameters = ClipParameters(16, 3, 12.0, "still", 0)
    assert list(run_jobs([], parameters, tmp_path, None)) == []


def test_a_failing_worker_is_reported(tmp_path):
    jobs = [Job("train", index, ("hopscotch",)) for index in range(2)]
    parameters = ClipParameters(16, 3, 12.0, "still", 0)
    message = "A rendering process ended with 1:\n(.*\n)+ValueError: 'hopscotch'"
    with pytest.raises(RuntimeError, match=message):
        list(run_jobs(jobs, parameters, tmp_path, processes=2))


def test_a_worker_that_cannot_write_says_where(tmp_path):
    (tmp_path / "train").write_text("a file in the place of the folder")
    jobs = [Job("train", index, ("kick",)) for index in range(2)]
    parameters = ClipParameters(16, 3, 12.0, "still", 0)
    with pytest.raises(UserError, match=r"Rendering stopped: .*train/kick'"):
        list(run_jobs(jobs, parameters, tmp_path, processes=2))


def test_a_killed_worker_is_reported(tmp_path, monkeypatch):
    program = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    monkeypatch.setattr(processes, "COMMAND", (sys.executable, "-c", program))
    jobs = [Job("train", index, ("kick",)) for index in range(2)]
    parameters = ClipParameters(16, 3, 12.0, "still", 0)
    with pytest.raises(UserError, match="was ended by signal 9. Short of memory?"):
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
