"""Processor time of a training step, a clip, on one thread of TensorFlow.

    python -m benchmarks.step_cost [--preset nano-16f] [--size 64] [--batch-size 16]

Processor time, unlike wall time, hardly depends on what else the machine does.
"""

import argparse
import os
import statistics
import sys
import time

_WARM_UP, _STEPS = 2, 12


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="nano-16f")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=16)
    arguments = parser.parse_args(argv)

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np
    import tensorflow as tf

    from keras_dynamonet import DynamoNet

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    size, batch = arguments.size, arguments.batch_size
    model = DynamoNet.from_preset(arguments.preset, num_classes=8, size=size)
    model.compile("adamw")
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (batch, model.num_frames + 1, size, size, 3), "uint8")
    labels = np.arange(batch) % 8
    seconds = []
    for _ in range(_WARM_UP + _STEPS):
        start = time.process_time()
        model.train_on_batch(clips, labels)
        seconds.append(time.process_time() - start)
    cost = [1e3 * value / batch for value in seconds[_WARM_UP:]]
    print(
        f"{arguments.preset}, {size} pixels, batch {batch}: median "
        f"{statistics.median(cost):.1f} ms a clip (least {min(cost):.1f})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
