import io

import pytest
from rich.console import Console

from keras_dynamonet.cli import output, progress
from keras_dynamonet.cli.progress import TrainingProgress

PARAMS = {"epochs": 12, "steps": 4, "first_step": 1, "validation_steps": 2}
LOGS = {"loss": 1.0, "clips_per_second": 9.0, "data_wait_share": 0.0}


def run_an_epoch(callback):
    callback.set_params(PARAMS)
    with callback:
        callback.on_epoch_begin(0)
        for batch in range(3):
            callback.on_train_batch_end(batch, LOGS)
        yield "trained"
        callback.on_test_begin()
        callback.on_test_batch_end(0)
        yield "validated"
        callback.on_epoch_end(0, {**LOGS, "val_loss": 2.0})


def test_without_a_terminal_there_is_a_line_for_each_epoch(capsys):
    for _ in run_an_epoch(TrainingProgress()):
        pass
    assert capsys.readouterr().err == (
        "epoch  1/12  loss 1.000  |  validation loss 2.000  |  9 clips/s, 0 % waiting "
        "for data\n"
    )


def test_on_a_terminal_a_bar_follows_the_steps(monkeypatch):
    console = Console(
        file=io.StringIO(), force_terminal=True, width=100, highlight=False
    )
    monkeypatch.setattr(output, "_ERRORS", console)
    callback = TrainingProgress()
    events = run_an_epoch(callback)
    assert next(events) == "trained"
    [task] = callback._bar.tasks
    assert (task.description, task.completed, task.total) == ("epoch 1/12", 4, 4)
    assert "9 clips/s" in task.fields["values"]
    assert next(events) == "validated"
    [task] = callback._bar.tasks
    assert (task.description, task.completed, task.total) == ("validation", 1, 2)
    with pytest.raises(StopIteration):
        next(events)
    assert "validation loss 2.000" in console.file.getvalue()


def test_module_asks_for_the_console_of_the_programs():
    assert progress.error_console is output.error_console
