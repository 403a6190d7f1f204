"""What training shows while it runs: a bar for the epoch, a line when it is over.

Where there is no terminal, e.g. in a log file, the lines alone are written.
"""

import keras
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from keras_dynamonet.cli.losses_line import epoch_line, step_line
from keras_dynamonet.cli.output import error_console, say


class TrainingProgress(keras.callbacks.Callback):
    """Shows losses, accuracy, speed and the share of time spent waiting for data.

    Use as a context manager, so that the bar goes away whatever happens.
    """

    def __init__(self):
        super().__init__()
        console = error_console()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[values]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = None

    def __enter__(self) -> "TrainingProgress":
        self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()

    def on_epoch_begin(self, epoch, logs=None):
        name = f"epoch {epoch + 1}/{self.params['epochs']}"
        self._begin(name, self.params["steps"], self.params["first_step"])

    def on_train_batch_end(self, batch, logs=None):
        done = self.params["first_step"] + batch + 1
        self._bar.update(self._task, completed=done, values=step_line(logs))

    def on_test_begin(self, logs=None):
        self._begin("validation", self.params["validation_steps"], 0)

    def on_test_batch_end(self, batch, logs=None):
        self._bar.update(self._task, completed=batch + 1)

    def on_epoch_end(self, epoch, logs=None):
        epochs = str(self.params["epochs"])
        number = str(epoch + 1).rjust(len(epochs))
        say(f"epoch {number}/{epochs}  {epoch_line(logs)}")

    def _begin(self, name: str, steps: int, done: int) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(name, total=steps, completed=done, values="")
