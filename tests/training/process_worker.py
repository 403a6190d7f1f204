"""One process of a run: `process_worker.py SETTINGS`, a JSON document.

Keys: `data`, `run_dir`, `losses` (where to write the running loss of every step),
`changes` of the configuration, `machines`, `resume`, `kill_after` (steps of this
process after which it kills itself).
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
    """Writes the losses as they come, and may kill the process."""

    def __init__(self, path, kill_after):
        super().__init__()
        self._path, self._kill_after = Path(path), kill_after
        self._losses = []

    def on_train_batch_end(self, batch, logs=None):
        self._losses.append(logs["loss"])
        self._path.write_text(json.dumps(self._losses))
        if len(self._losses) == self._kill_after:
            os.kill(os.getpid(), signal.SIGKILL)


def run(settings):
    """Trains or resumes as `settings` say."""
    distribution = join(Machines(**settings.get("machines", {})))
    losses = Losses(settings["losses"], settings.get("kill_after"))
    shared = {"callbacks": [losses], "distribution": distribution}
    if settings.get("resume"):
        return resume(settings["run_dir"], **shared)
    changes = settings.get("changes", {})
    config = tiny_config(settings["data"], settings["run_dir"], **changes)
    return train(config, **shared)


if __name__ == "__main__":
    for document in sys.argv[1:]:
        run(json.loads(document))
