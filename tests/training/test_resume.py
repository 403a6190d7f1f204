import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import pytest

from keras_dynamonet.errors import UserError
from keras_dynamonet.training.interruption import TrainingInterrupted
from keras_dynamonet.training.run_directory import RunDirectory
from keras_dynamonet.training.trainer import resume, train
from tests.action_videos import write_action_videos
from tests.tiny_runs import assert_equal_runs, tiny_config

# Trains as the fixture `trained_run` does, but dies without warning after step 5 of 6,
# one step after the checkpoint in the middle of the second epoch.
KILLED_RUN = """
    import os, signal, sys
    from pathlib import Path
    import keras
    from keras_dynamonet.training.trainer import train
    from tests.tiny_runs import tiny_config

    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            if (self.epoch, batch) == (1, 1):
                os.kill(os.getpid(), signal.SIGKILL)

    data, run_dir = map(Path, sys.argv[1:])
    train(tiny_config(data, run_dir, checkpoint_steps=2), callbacks=[Kill()])
"""


class TerminateInValidation(keras.callbacks.Callback):
    """Sends this process SIGTERM in the first step of the first validation."""

    def on_test_batch_begin(self, batch, logs=None):
        os.kill(os.getpid(), signal.SIGTERM)


def test_killed_run_resumes_to_the_weights_of_an_uninterrupted_one(
    action_videos, trained_run, tmp_path
):
    run = RunDirectory(tmp_path / "killed")
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED_RUN), action_videos, run.path],
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    result = resume(run.path)

    assert result.steps == 6
    assert_equal_runs(run.last, trained_run.run.last)


@pytest.mark.long
def test_run_stopped_in_validation_makes_up_for_it(
    action_videos, trained_run, tmp_path
):
    run = RunDirectory(tmp_path / "stopped")
    config = tiny_config(action_videos, run.path, checkpoint_steps=2)
    with pytest.raises(TrainingInterrupted, match=f"train --resume {run.path}"):
        train(config, callbacks=[TerminateInValidation()])
    assert json.loads(run.state.read_text())["step"] == 3
    assert run.history.read_text().strip() == ""

    resume(run.path)

    assert_equal_runs(run.last, trained_run.run.last)
    assert run.history.read_text().count("\n") == 3


def test_resume_of_a_finished_run_changes_nothing(trained_run):
    def contents():
        files = filter(Path.is_file, trained_run.run.path.rglob("*"))
        return {file: file.read_bytes() for file in files}

    before = contents()
    assert trained_run.run.last in before
    assert resume(trained_run.run.path).history == trained_run.history
    assert contents() == before


def test_resume_without_a_checkpoint_starts_from_the_beginning(
    action_videos, tmp_path, monkeypatch
):
    run = RunDirectory(tmp_path / "begun")
    run.start()
    config = tiny_config(action_videos, run.path)
    config.save(run.config)
    started = []
    monkeypatch.setattr(
        "keras_dynamonet.training.trainer.train",
        lambda config, *, overwrite, **_: started.append((config, overwrite)),
    )
    resume(run.path)
    assert started == [(config, True)]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_resume_refuses_changed_data(trained_run, action_videos, tmp_path, split):
    data = shutil.copytree(action_videos, tmp_path / "data")
    run = RunDirectory(shutil.copytree(trained_run.run.path, tmp_path / "run"))
    tiny_config(data, run.path).save(run.config)
    write_action_videos(data / split, videos=5)
    with pytest.raises(UserError, match=f"has changed since {run.path} was started"):
        resume(run.path)


class StopAt(keras.callbacks.Callback):
    """Asks to stop after a step, or at the end of an epoch."""

    def __init__(self, batch=None, epoch=None):
        super().__init__()
        self._batch, self._epoch = batch, epoch

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training |= batch == self._batch

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training |= epoch == self._epoch


@pytest.mark.long
def test_callbacks_may_stop_within_and_behind_a_resumed_epoch(action_videos, tmp_path):
    config = tiny_config(action_videos, tmp_path / "run", epochs=3)
    stopped = train(config, callbacks=[StopAt(batch=1)])
    assert (stopped.steps, stopped.history) == (2, [])
    resumed = resume(config.run_dir, callbacks=[StopAt(epoch=0)])
    assert (resumed.steps, len(resumed.history)) == (3, 1)
    assert len(resume(config.run_dir).history) == 3


def test_resume_needs_a_run(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        resume(tmp_path)


def test_results_without_a_checkpoint_are_not_thrown_away(trained_run, tmp_path):
    run = RunDirectory(shutil.copytree(trained_run.run.path, tmp_path / "run"))
    run.last.unlink()
    with pytest.raises(UserError, match="has results, but no last.keras to go on from"):
        resume(run.path)
    assert run.best.exists() and run.read_history()


@pytest.mark.long
def test_a_run_goes_on_from_another_folder(action_videos, tmp_path, monkeypatch):
    monkeypatch.chdir(action_videos.parent)
    run = RunDirectory(tmp_path / "run")
    train(tiny_config(action_videos.name, run.path, epochs=1))
    monkeypatch.chdir(tmp_path)
    assert resume(run.path).steps == 3


@pytest.mark.long
def test_a_run_of_several_steps_at_a_time_is_resumed_where_it_stopped(
    action_videos, trained_run, tmp_path
):
    """Three steps an epoch, which two at a time do not fill."""

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            os.kill(os.getpid(), signal.SIGTERM)

    stopped = tiny_config(
        action_videos, tmp_path / "stopped", steps_per_execution=2, checkpoint_steps=1
    )
    with pytest.raises(TrainingInterrupted):
        train(stopped, callbacks=[Stop()])
    assert resume(stopped.run_dir).steps == 6
    assert_equal_runs(RunDirectory(stopped.run_dir).last, trained_run.run.last)
