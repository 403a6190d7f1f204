import time

import numpy as np
import tensorflow as tf

from keras_dynamonet.training.data_clock import DataClock


def test_elements_pass_unchanged_and_in_order():
    dataset = tf.data.Dataset.range(5).map(lambda k: (tf.fill([2], k), k))
    found = [(int(a[0]), int(b)) for a, b in DataClock().attach(dataset)]
    assert found == [(k, k) for k in range(5)]


def test_shapes_and_types_are_kept():
    dataset = tf.data.Dataset.from_tensors(np.zeros((2, 3), "uint8"))
    assert DataClock().attach(dataset).element_spec == dataset.element_spec


def test_waiting_for_slow_data_is_counted_and_own_work_is_not():
    def slow(k):
        return tf.numpy_function(_sleep, [k], tf.int64)

    def _sleep(k):
        time.sleep(0.05)
        return k

    clock = DataClock()
    for _ in clock.attach(tf.data.Dataset.range(4).map(slow)):
        pass
    assert clock.seconds >= 4 * 0.05
    before = clock.seconds
    for _ in clock.attach(tf.data.Dataset.range(4)):
        time.sleep(0.2)  # the consumer's own time
    assert clock.seconds - before < 0.6  # of 0.8
