"""One process of a run: `process_worker.py SETTINGS`, a JSON document.

Keys: `data`, `run_dir`, `losses` (where to write the running loss of every step),
`changes` of the configuration, `machines`, `resume`, `kill_after` (steps of this
process after which it kills itself), `stop_after` (after which it asks to stop).
"""

import json
import os
import signal
import sys
from pathlib import Path

import keras

from keras_dynamonet.training.machines import Machines, join
from keras_dynamonet.training.trainer import resume, train
from tests.tiny_runs import tiny_config


class Losses(keras.callbacks.Callback):
    """Writes the losses as they come, and may kill or stop the process."""

    def __init__(self, path, kill_after, stop_after):
        super().__init__()
        self._path = Path(path)
        self._signals = {kill_after: signal.SIGKILL, stop_after: signal.SIGTERM}
        self._losses = []

    def on_train_batch_end(self, batch, logs=None):
        self._losses.append(logs["loss"])
        self._path.write_text(json.dumps(self._losses))
        if len(self._losses) in self._signals:
            os.kill(os.getpid(), self._signals[len(self._losses)])


def run(settings):
    """Trains or resumes as `settings` say."""
    distribution = join(Machines(**settings.get("machines", {})))
    signals = settings.get("kill_after"), settings.get("stop_after")
    losses = Losses(settings["losses"], *signals)
    shared = {"callbacks": [losses], "distribution": distribution}
    if settings.get("resume"):
        return resume(settings["run_dir"], **shared)
    changes = settings.get("changes", {})
    config = tiny_config(settings["data"], settings["run_dir"], **changes)
    return train(config, **shared)


if __name__ == "__main__":
    for document in sys.argv[1:]:
        run(json.loads(document))
