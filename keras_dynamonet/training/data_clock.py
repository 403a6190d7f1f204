"""How long training waits for data."""

import time

import numpy as np
import tensorflow as tf


class DataClock:
    """Measures how long the consumer of a dataset waits for each element.

    `attach` puts a stamp before and after the dataset: the first is taken when the
    consumer asks, the second when the element is there. A dataset that is ready ahead
    of time costs microseconds; one that is too slow costs what it is late by.

    Example:

    ```python
    clock = DataClock()
    for clips, labels in clock.attach(dataset):
        ...
    print(f"waited {clock.seconds:.1f} s for data")
    ```
    """

    def __init__(self):
        self.seconds = 0.0
        self._asked = 0.0

    def attach(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """The same elements, timed. Nothing may prefetch from the result."""
        requests = tf.data.Dataset.counter().map(
            lambda _: tf.numpy_function(self._ask, [], tf.int64)
        )
        timed = tf.data.Dataset.zip((requests, dataset)).map(self._deliver)
        # Left to itself, tf.data would fetch ahead of the stamps.
        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False
        return timed.with_options(options)

    def _ask(self) -> np.int64:
        self._asked = time.perf_counter()
        return np.int64(0)

    def _answer(self, _: np.int64) -> np.int64:
        self.seconds += time.perf_counter() - self._asked
        return np.int64(0)

    def _deliver(self, request, element):
        answer = tf.numpy_function(self._answer, [request], tf.int64)
        with tf.control_dependencies([answer]):
            return tf.nest.map_structure(tf.identity, element)
