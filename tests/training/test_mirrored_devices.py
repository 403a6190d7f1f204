import json

import pytest

from tests.fresh_process import run_python


@pytest.mark.long
@pytest.mark.parametrize(
    ("task", "data", "on_two"),
    [
        ("frames", "train", "2"),
        ("actions", "", "2,2"),
    ],
)
def test_two_devices_train_as_one_does(task, data, on_two, action_videos, tmp_path):
    """Synchronised, they give the losses and metrics of one, stopped or not.

    The first run validates, too.
    """
    printed = run_python(
        *("-m", "tests.training.mirrored_worker", action_videos / data, tmp_path),
        *(task, "1", on_two),
    )
    found = json.loads(printed.splitlines()[-1])
    described = found[on_two]["distribution"]
    assert (described["devices"], described["clips_a_device"]) == (2, 2)
    assert described["batch_norm_over"] == "all clips of a step"
    if on_two == "2,2":
        [resumption] = found[on_two]["resumed"]
        assert (resumption["step"], resumption["distribution"]) == (2, described)
    [one], [two] = (found[run]["history"] for run in ("1", on_two))
    for row in (one, two):
        del row["clips_per_second"]
        row.pop("data_wait_share", None)
    assert two == pytest.approx(one, rel=1e-3)


OVERFLOW = """
import os
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import keras, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
from keras_dynamonet.training.mirrored_devices import MirroredDevices

devices = MirroredDevices(2)
with devices.scope():
    weight = keras.Variable([1.0, 2.0])
    inner = keras.optimizers.SGD(0.5, global_clipnorm=1.0)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=4.0)
    optimizer.build([weight])
    devices.prepare_optimizer(optimizer)

@tf.function
def step(second):
    def of_a_device():
        first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
        gradient = tf.where(first, tf.constant([4.0, 0.0]), second)
        optimizer.apply([gradient], [weight])
    devices._strategy.run(of_a_device)

for second in ([float("inf"), 0.0], [0.0, 0.0]):
    step(tf.constant(second))
    print(*weight.numpy(), float(optimizer.dynamic_scale.numpy()))
"""


@pytest.mark.long
def test_a_step_that_overflows_on_one_device_is_left_out_on_all():
    printed = [line.split() for line in run_python("-c", OVERFLOW).splitlines()[-2:]]
    overflown, stepped = [[float(number) for number in line] for line in printed]
    assert overflown == [1.0, 2.0, 2.0]  # and the scale is halved
    assert stepped == [0.5, 2.0, 2.0]
