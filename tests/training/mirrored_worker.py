"""Runs on one device and on two: `mirrored_worker.py DATA FOLDER TASK RUNS`.

In a process of its own, because TensorFlow takes virtual devices only at its start.
`RUNS` is a list of runs, each the numbers of devices of its parts in turn: `2,2` is
stopped after its second step and resumed. Prints what they left as JSON.
"""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import keras
import tensorflow as tf

from keras_dynamonet.training.interruption import TrainingInterrupted
from keras_dynamonet.training.machines import Machines, join
from keras_dynamonet.training.run_directory import RunDirectory
from keras_dynamonet.training.trainer import resume, train
from tests.tiny_runs import MODEL, tiny_config


class Terminate(keras.callbacks.Callback):
    """Asks this process to stop after the second step."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            os.kill(os.getpid(), signal.SIGTERM)


def main(data, folder, task, runs):
    """Trains, without dropout, whose masks depend on the devices."""
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    found = {}
    for name in runs:
        config = tiny_config(
            data,
            folder / name,
            task=task,
            epochs=1,
            sync_batch_norm=True,
            filter_source="generated",
            teacher_weight=0.0,
            model={**MODEL, "dropout": 0.0},
        )
        first, *second = (join(Machines(devices=int(n))) for n in name.split(","))
        with contextlib.suppress(TrainingInterrupted):
            train(config, distribution=first, callbacks=[Terminate()] * len(second))
        run = RunDirectory(config.run_dir)
        if second:
            assert not run.read_history()
            resume(config.run_dir, distribution=second[0])
        environment = json.loads(run.environment.read_text())
        found[name] = {"history": run.read_history(), **environment}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
