"""Experiments in which the classifier sees solved filters and nothing else.

Solved filters are a function of the clip: they are computed once, and only the
descriptor and the classifier are trained, in seconds instead of minutes.
"""

import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from benchmarks.accuracy.batches import ORDERS, keep_labels
from benchmarks.accuracy.clips import LabelledClips, load_clips
from benchmarks.accuracy.experiments import Experiment
from benchmarks.accuracy.measures import knowledge
from keras_dynamonet.layers import FilterSolver, MotionDescriptor, SegmentSolver

NUM_FRAMES = 16
BATCH_SIZE = 64
LEARNING_RATE = 2e-3
DROPOUT = 0.3
DESCRIPTOR_RIDGE = 1e-2
CLIPS_AT_A_TIME = 20


class FilterTrainer:
    """Trains a descriptor and a classifier on the filters of one experiment.

    Stands in for `Trainer` where the network has `evidence="filters"`; the forecast,
    which the classifier learns nothing from, is left out.

    Args:
        experiment: What to do; of its network's options those of the solver and the
            descriptor count.
        cache: Folder of the rendered clips.
    """

    def __init__(self, experiment: Experiment, cache: Path):
        self._experiment = experiment
        options = dict(experiment.network)
        self._head = options.get("descriptor", "temporal")
        size, segments = options.get("kernel_size", 5), options.get("segments", 1)
        ridge = options.get("descriptor_ridge", DESCRIPTOR_RIDGE)
        if segments > 1:
            self._solver = SegmentSolver(size, segments=segments, ridge=ridge)
        else:
            self._solver = FilterSolver(size, ridge=ridge)
        data = load_clips(experiment.clips, cache)
        self._labels = {split: part.labels for split, part in data.items()}
        self._train = self._filters_by_start(data["train"])
        self._test = {
            order: self._filters_of_middle(data["test"], order)
            for order in {experiment.order, "shuffled"}
        }

    def run(self, seed: int) -> dict[str, float]:
        """Trains from fresh weights, see `Trainer.run`."""
        keras.utils.set_random_seed(seed)
        started = time.process_time()
        model = keras.Sequential(
            [
                keras.Input(self._train.shape[2:]),
                MotionDescriptor(self._head),
                keras.layers.Dropout(DROPOUT),
                keras.layers.Dense(len(self._experiment.clips.class_names)),
            ]
        )
        labels = keep_labels(self._labels["train"], self._experiment.label_share, seed)
        ways = len(self._train)
        # As many steps with few labels as with all.
        epochs = round(self._experiment.epochs * len(labels) / np.sum(labels >= 0))
        filters = self._train[:, labels >= 0].reshape(-1, *self._train.shape[2:])
        targets = np.tile(labels[labels >= 0], ways)
        steps = max(1, epochs * len(targets) // ways // BATCH_SIZE)
        model.compile(
            keras.optimizers.AdamW(
                keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps),
                weight_decay=0.02,
            ),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        dataset = tf.data.Dataset.from_tensor_slices((filters, targets))
        dataset = dataset.shuffle(len(targets), seed=seed).repeat().batch(BATCH_SIZE)
        model.fit(dataset, steps_per_epoch=steps, verbose=0)
        numbers = {
            "cpu_seconds": time.process_time() - started,
            "parameters": float(model.count_params()),
            "accuracy": self._accuracy(model, self._experiment.order),
        }
        if self._experiment.order == "natural":
            numbers["accuracy_shuffled_test"] = self._accuracy(model, "shuffled")
        if self._experiment.probes:
            middle = (ways // 2 - 1) // 2
            numbers |= knowledge(
                {"dmr": self._train[middle].reshape(len(labels), -1)},
                self._labels["train"],
                {"dmr": self._test["natural"].reshape(len(self._labels["test"]), -1)},
                self._labels["test"],
            )
        return numbers

    def _accuracy(self, model, order):
        logits = model.predict(self._test[order], batch_size=200, verbose=0)
        return float(np.mean(logits.argmax(axis=1) == self._labels["test"]))

    def _filters_by_start(self, data: LabelledClips) -> np.ndarray:
        """Filters for every start of the clip, plain and mirrored.

        Returns:
            `(2 * starts, clips, T - 1, k, k, segments)`, the plain ones first.
        """
        rng = np.random.default_rng(0)
        clips = np.stack([ORDERS[self._experiment.order](c, rng) for c in data.clips])
        starts = clips.shape[1] - NUM_FRAMES
        ways = []
        for view in (clips, clips[:, :, :, ::-1]):
            filters = self._solve(view)
            ways += [filters[:, i : i + NUM_FRAMES - 1] for i in range(starts)]
        return np.stack(ways)

    def _filters_of_middle(self, data: LabelledClips, order: str) -> np.ndarray:
        rng = np.random.default_rng(0)
        start = (data.clips.shape[1] - NUM_FRAMES - 1) // 2
        middle = data.clips[:, start : start + NUM_FRAMES]
        return self._solve(np.stack([ORDERS[order](clip, rng) for clip in middle]))

    def _solve(self, clips: np.ndarray) -> np.ndarray:
        if not self._solver.built:
            self._solver.build((None, *clips.shape[1:]))
        solve = tf.function(self._solver.call, reduce_retracing=True)
        return np.concatenate(
            [
                solve(tf.cast(clips[i : i + CLIPS_AT_A_TIME], tf.float32) / 255)
                for i in range(0, len(clips), CLIPS_AT_A_TIME)
            ]
        )
