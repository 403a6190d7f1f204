"""Runs of several processes on the JAX backend, on loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_dynamonet.training.run_directory import RunDirectory
from tests.fresh_process import ROOT
from tests.tiny_runs import MODEL, tiny_config

# No closed-form filters, whose compilation would take most of the time.
CHANGES = {"filter_source": "generated", "teacher_weight": 0.0}


def start_worker(*documents):
    """Starts `tests/training/process_worker.py`."""
    documents = [json.dumps(document, default=str) for document in documents]
    return start_program("tests.training.process_worker", *documents)


def start_program(module, *words):
    """Starts a program that uses JAX on the CPU."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, words)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="finds child processes in /proc")
def test_the_command_says_so_when_the_first_process_is_lost(action_videos, tmp_path):
    """Process 0 coordinates the others: without it JAX aborts them, or a step fails."""
    pytest.importorskip("jax")
    run = RunDirectory(tmp_path / "run")
    config = tiny_config(
        action_videos, run.path, **CHANGES, epochs=1000, checkpoint_steps=2
    )
    config.save(tmp_path / "config.json")
    port = free_port()
    command = ["train", action_videos, "--config", tmp_path / "config.json"]
    command += ["--run", run.path, "--coordinator", f"127.0.0.1:{port}"]
    command += ["--processes", 2, "--process-index"]
    workers = [
        start_program("keras_dynamonet.cli.main", *command, index) for index in range(2)
    ]
    deadline = time.monotonic() + 300
    try:
        while not run.last.exists():
            assert time.monotonic() < deadline, "no checkpoint"
            assert all(worker.poll() is None for worker in workers), "ended early"
            time.sleep(0.1)
        first = workers[0].pid
        child = Path(f"/proc/{first}/task/{first}/children").read_text().split()[0]
        os.kill(int(child), signal.SIGKILL)
        errors = [worker.communicate(timeout=60)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [1, 1]
    assert "this process of the run was ended by SIGKILL" in errors[0]
    assert "another process of the run was lost" in errors[1]
    assert "dynamonet train --resume" in errors[1]


@pytest.mark.long
def test_two_processes_stopped_resumed_and_taken_over_have_the_losses_of_one(
    action_videos, tmp_path
):
    """24 steps in three parts.

    A signal to one of two processes stops both, at a step that they agree on. Resumed,
    the second dies; the first says so and ends. One process goes on alone, from the end
    of an epoch.
    """
    pytest.importorskip("jax")
    # Steps of Adam have the size of the rate, however small the gradient: rounding
    # would grow, as it does where the loss leaps.
    changes = {**CHANGES, "epochs": 8, "optimizer": "sgd", "learning_rate": 1e-4}
    changes["model"] = {**MODEL, "dropout": 0.0}
    data = {"data": action_videos, "changes": changes}
    run = RunDirectory(tmp_path / "two")

    def start(part, index, **settings):
        losses = tmp_path / f"{part}-{index}"
        return start_worker({"run_dir": run.path, "losses": losses, **settings})

    def start_two(part, orders, **settings):
        """Two processes with these settings, the second of them with orders, too."""
        machines = {"coordinator": f"127.0.0.1:{free_port()}", "processes": 2}
        places = [{**machines, "process_index": index} for index in range(2)]
        first = start(part, 0, machines=places[0], **settings)
        return first, start(part, 1, machines=places[1], **settings, **orders)

    def losses(part, index):
        return json.loads((tmp_path / f"{part}-{index}").read_text())

    def step_of_checkpoint():
        return json.loads(run.state.read_text())["step"]

    for worker in start_two("begun", {"stop_after": 4}, **data):
        _, error = worker.communicate()
        assert "TrainingInterrupted: stopped at step " in error
    stopped = step_of_checkpoint()
    assert 4 <= stopped < 24 - 5
    environment = json.loads(run.environment.read_text())
    assert environment["distribution"]["processes"] == 2
    assert environment["distribution"]["clips_a_process"] == 2

    first, second = start_two("resumed", {"kill_after": 5}, resume=True)
    assert second.wait() < 0, second.stderr.read()
    killed = time.monotonic()
    _, error = first.communicate(timeout=60)
    assert time.monotonic() - killed < 60
    assert first.returncode != 0
    assert "was lost (killed, or its machine failed)" in error
    assert f"dynamonet train --resume {run.path}" in error
    kept = step_of_checkpoint()
    assert stopped < kept < stopped + 5

    one = {**data, "run_dir": tmp_path / "one"}
    for worker in (start("taken", 0, resume=True), start("one", 0, **one)):
        _, error = worker.communicate()
        assert worker.returncode == 0, error[-4000:]
    assert step_of_checkpoint() == 24
    assert len(run.read_history()) == 8
    resumptions = json.loads(run.environment.read_text())["resumed"]
    assert [r["step"] for r in resumptions] == [stopped, kept]
    assert [r["distribution"]["processes"] for r in resumptions] == [2, 1]

    expected = losses("one", 0)
    assert len(expected) == 24
    assert losses("begun", 0) == losses("begun", 1)
    assert losses("begun", 0) == pytest.approx(expected[:stopped], abs=1e-4)
    until_killed = losses("resumed", 1)
    assert losses("resumed", 0)[:5] == until_killed
    assert until_killed == pytest.approx(expected[stopped : stopped + 5], abs=1e-4)
    assert losses("taken", 0) == pytest.approx(expected[kept:], abs=1e-4)
