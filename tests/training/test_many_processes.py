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


@pytest.mark.slow
def test_a_lost_process_stops_the_others_and_one_goes_on_with_the_same_losses(
    action_videos, tmp_path
):
    """Two epochs of three steps; the second of two processes dies after step 5.

    One process takes over from the end of the first epoch: its steps 4 and 5 must have
    the losses that the two had.
    """
    pytest.importorskip("jax")
    run = RunDirectory(tmp_path / "run")
    machines = {"coordinator": f"127.0.0.1:{free_port()}", "processes": 2}
    shared = {"data": action_videos, "run_dir": run.path, "changes": CHANGES}
    workers = [
        start_worker(
            {
                **shared,
                "losses": tmp_path / f"losses-{index}",
                "machines": {**machines, "process_index": index},
                "kill_after": 5 if index == 1 else None,
            }
        )
        for index in range(2)
    ]
    assert workers[1].wait() < 0, workers[1].stderr.read()
    killed = time.monotonic()
    _, error = workers[0].communicate(timeout=60)
    assert time.monotonic() - killed < 60
    assert workers[0].returncode != 0
    assert "was lost (killed, or its machine failed)" in error
    assert f"dynamonet train --resume {run.path}" in error
    assert json.loads(run.state.read_text())["step"] == 3
    environment = json.loads(run.environment.read_text())
    assert environment["distribution"]["processes"] == 2
    assert environment["distribution"]["clips_a_process"] == 2

    resumed = start_worker(
        {"resume": True, "run_dir": run.path, "losses": tmp_path / "losses-one"}
    )
    _, error = resumed.communicate()
    assert resumed.returncode == 0, error[-4000:]
    both = [json.loads((tmp_path / f"losses-{k}").read_text()) for k in range(2)]
    assert both[0][:5] == both[1]
    one = json.loads((tmp_path / "losses-one").read_text())
    assert one[:2] == pytest.approx(both[1][3:], abs=1e-4)
    assert len(run.read_history()) == 2
    [resumption] = json.loads(run.environment.read_text())["resumed"]
    assert resumption["step"] == 3
    assert resumption["distribution"]["processes"] == 1


@pytest.mark.slow
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


@pytest.mark.slow
def test_two_processes_stopped_and_resumed_have_the_losses_of_one_over_50_steps(
    action_videos, tmp_path
):
    """A signal to one process stops both, at a step that they agree on."""
    pytest.importorskip("jax")
    # Steps of Adam have the size of the rate, however small the gradient: rounding
    # would grow, as it does where the loss leaps.
    changes = {**CHANGES, "epochs": 17, "optimizer": "sgd", "learning_rate": 1e-4}
    changes["model"] = {**MODEL, "dropout": 0.0}
    data = {"data": action_videos, "changes": changes}
    run = RunDirectory(tmp_path / "two")

    def start(name, **settings):
        machines = {"coordinator": f"127.0.0.1:{free_port()}", "processes": 2}
        return [
            start_worker(
                {
                    "run_dir": run.path,
                    "losses": tmp_path / f"{name}-{index}",
                    "machines": {**machines, "process_index": index},
                    "stop_after": 4 if name == "begun" and index == 1 else None,
                    **settings,
                }
            )
            for index in range(2)
        ]

    for worker in start("begun", **data):
        _, error = worker.communicate()
        assert "TrainingInterrupted: stopped at step " in error
    stopped = json.loads(run.state.read_text())["step"]
    assert 4 <= stopped < 51
    workers = start("resumed", resume=True)
    one = {**data, "run_dir": tmp_path / "one", "losses": tmp_path / "one-0"}
    for worker in [*workers, start_worker(one)]:
        _, error = worker.communicate()
        assert worker.returncode == 0, error[-4000:]
    assert json.loads(run.state.read_text())["step"] == 51
    [resumption] = json.loads(run.environment.read_text())["resumed"]
    assert resumption["step"] == stopped
    assert resumption["distribution"]["processes"] == 2

    def losses(*names):
        return [
            loss for name in names for loss in json.loads((tmp_path / name).read_text())
        ]

    both = [losses(f"begun-{index}", f"resumed-{index}") for index in range(2)]
    assert len(both[0]) == 51
    assert both[0] == both[1] == pytest.approx(losses("one-0"), abs=1e-4)
