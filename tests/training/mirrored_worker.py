"""The same run on one device and on two: `mirrored_worker.py DATA FOLDER TASK`.

In a process of its own, because TensorFlow takes virtual devices only at its start.
Prints the histories as JSON.
"""

import json
import sys
from pathlib import Path

import tensorflow as tf

from keras_dynamonet.training.machines import Machines, join
from keras_dynamonet.training.run_directory import RunDirectory
from keras_dynamonet.training.trainer import train
from tests.tiny_runs import MODEL, tiny_config


def main(data, folder, task):
    """Trains twice, without dropout, whose masks depend on the devices."""
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    found = {}
    for devices in (1, 2):
        config = tiny_config(
            data,
            folder / str(devices),
            task=task,
            epochs=1,
            sync_batch_norm=True,
            filter_source="generated",
            teacher_weight=0.0,
            model={**MODEL, "dropout": 0.0},
        )
        train(config, distribution=join(Machines(devices=devices)))
        run = RunDirectory(config.run_dir)
        described = json.loads(run.environment.read_text())["distribution"]
        found[devices] = {"history": run.read_history(), "described": described}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
